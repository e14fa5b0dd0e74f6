module verdict.dev/policies/ticket-authorizer-go

go 1.26

require verdict.dev/policy v0.0.0

replace verdict.dev/policy => ../sdk-go
