module verdict.dev/policy

go 1.26
