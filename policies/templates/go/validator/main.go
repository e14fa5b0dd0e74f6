// Containers come from allowed registries.
package main

import (
	"strings"

	"verdict.dev/policy"
	"verdict.dev/policy/validating"
)

type settings struct {
	Registries []string `json:"registries"`
}

// pod has the fields that matter here. For all of them: corev1.Pod of k8s.io/api.
type pod struct {
	Spec struct {
		Containers          []container `json:"containers"`
		InitContainers      []container `json:"initContainers"`
		EphemeralContainers []container `json:"ephemeralContainers"`
	} `json:"spec"`
}

type container struct {
	Image string `json:"image"`
}

var registries []string

func init() {
	policy.Init(take)
	validating.Export(validate)
}

func main() {}

// take runs once, before any review.
func take(s settings) error {
	if len(s.Registries) == 0 {
		return policy.SettingErrorf("/registries", "expected at least one prefix")
	}
	for i, registry := range s.Registries {
		if !strings.HasSuffix(registry, "/") {
			return policy.SettingErrorf(policy.Pointer("registries", i), "expected a prefix that ends with /, got %s", registry)
		}
	}
	registries = s.Registries
	return nil
}

func validate(request *policy.AdmissionRequest) (validating.Validation, error) {
	// A delete has no object, and most subresources come with one of another kind.
	if request.Object == nil || request.SubResource != "" && request.SubResource != "ephemeralcontainers" {
		return validating.Allow(), nil
	}
	var pod pod
	if err := request.DecodeObject(&pod); err != nil {
		return validating.Validation{}, err
	}
	var causes []policy.Cause
	check := func(field string, containers []container) {
		for i, container := range containers {
			if !allowed(container.Image) {
				image := policy.Path("spec", field).Index(i).Child("image")
				causes = append(causes, image.Forbidden("%s is not from an allowed registry", container.Image))
			}
		}
	}
	check("containers", pod.Spec.Containers)
	check("initContainers", pod.Spec.InitContainers)
	check("ephemeralContainers", pod.Spec.EphemeralContainers)
	return validating.FromCauses("images must come from "+strings.Join(registries, ", "), causes...), nil
}

func allowed(image string) bool {
	for _, registry := range registries {
		if strings.HasPrefix(image, registry) {
			return true
		}
	}
	return false
}
