// Gives pods the defaults that Kubernetes leaves open: the container runtime's seccomp profile, and no token of the
// service account. What a pod says itself stays.
package main

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"verdict.dev/policy"
	"verdict.dev/policy/mutating"
)

type settings struct {
	// ExemptNamespaces keep what they have.
	ExemptNamespaces []string `json:"exemptNamespaces"`
}

var exempt []string

func init() {
	policy.Init(func(s settings) error {
		exempt = s.ExemptNamespaces
		return nil
	})
	policy.WarmUp(warmUp)
	mutating.Export(mutate)
}

func main() {}

func mutate(request *policy.AdmissionRequest) (mutating.Mutation, error) {
	// These fields of a pod never change again.
	if request.Operation != policy.Create || request.SubResource != "" || slices.Contains(exempt, request.Namespace) {
		return mutating.Unchanged(), nil
	}
	answer := mutating.Unchanged()
	var err error
	answer.Change, err = mutating.Edit(request, func(pod *corev1.Pod) error {
		// It runs already: the kubelet only shows it.
		if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
			return nil
		}
		profile(&pod.Spec)
		if pod.Spec.AutomountServiceAccountToken == nil {
			pod.Spec.AutomountServiceAccountToken = new(bool)
			unmount(&pod.Spec)
			answer.Annotate("token", "not mounted")
		}
		return nil
	})
	return answer, err
}

func profile(spec *corev1.PodSpec) {
	// A pod for Windows must have none.
	if spec.OS != nil && spec.OS.Name == corev1.Windows {
		return
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	if spec.SecurityContext.SeccompProfile == nil {
		spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
}

// unmount takes out the volume that the API server adds before it asks webhooks.
func unmount(spec *corev1.PodSpec) {
	var added []string
	spec.Volumes = slices.DeleteFunc(spec.Volumes, func(volume corev1.Volume) bool {
		token := volume.Projected != nil && strings.HasPrefix(volume.Name, "kube-api-access-")
		if token {
			added = append(added, volume.Name)
		}
		return token
	})
	if len(added) == 0 {
		return
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			mounts := containers[i].VolumeMounts
			containers[i].VolumeMounts = slices.DeleteFunc(mounts, func(mount corev1.VolumeMount) bool {
				return slices.Contains(added, mount.Name)
			})
		}
	}
}

// warmUp answers one review, so that encoding/json knows the types of a pod before the first real one.
func warmUp() {
	const pod = `{"metadata": {"name": "a", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}`
	_, _ = mutate(&policy.AdmissionRequest{Operation: policy.Create, Object: policy.JSON(pod)})
}
