module verdict.dev/policies/namespace-defaults-go

go 1.26

require verdict.dev/policy v0.0.0

replace verdict.dev/policy => ../sdk-go
