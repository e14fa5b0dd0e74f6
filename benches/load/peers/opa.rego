# What OPA answers in the benchmark with peers: objects need the label `team`.
package system

main := {
	"apiVersion": "admission.k8s.io/v1",
	"kind": "AdmissionReview",
	"response": response,
}

response := {"uid": input.request.uid, "allowed": true} if count(deny) == 0

response := {
	"uid": input.request.uid,
	"allowed": false,
	"status": {"message": concat("; ", deny)},
} if {
	count(deny) > 0
}

deny contains "the label team is required" if not input.request.object.metadata.labels.team
