package validating

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
	"verdict.dev/policy/internal/wire"
)

func init() { exports.Expect("validating", func() bool { return validate != nil }) }

//go:wasmexport verdict:admission/validating@1.0.0#validate
func export(request unsafe.Pointer) unsafe.Pointer {
	defer abi.Enter()()
	answer, err := Ask((*wire.Request)(request).Take())
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	type validation struct {
		allowed               uint8
		denial                wire.Denial
		warnings, annotations abi.List
	}
	passed := validation{
		warnings: abi.PassStrings(answer.Warnings), annotations: wire.PassAnnotations(answer.AuditAnnotations),
	}
	if answer.allowed {
		passed.allowed = 1
	} else {
		passed.denial = wire.PassDenial(answer.denial)
	}
	return abi.Answer(passed)
}
