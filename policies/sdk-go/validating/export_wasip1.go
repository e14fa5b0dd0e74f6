package validating

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
	"verdict.dev/policy/internal/wire"
)

func init() { exports.Expect("validating", func() bool { return validate != nil }) }

//go:wasmexport verdict:policy/validating@0.1.0#validate
func export(request unsafe.Pointer) unsafe.Pointer {
	defer abi.Enter()()
	answer, err := validate((*wire.Request)(request).Take())
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	type validation struct {
		denial                abi.Option[wire.Denial]
		warnings, annotations abi.List
	}
	passed := validation{
		warnings: abi.PassStrings(answer.Warnings), annotations: wire.PassAnnotations(answer.AuditAnnotations),
	}
	if answer.Denial != nil {
		passed.denial.Some, passed.denial.Value = 1, wire.PassDenial(answer.Denial)
	}
	return abi.Answer(passed)
}
