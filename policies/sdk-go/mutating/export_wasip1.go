package mutating

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
	"verdict.dev/policy/internal/wire"
)

func init() { exports.Expect("mutating", func() bool { return mutate != nil }) }

//go:wasmexport verdict:admission/mutating@1.0.0#mutate
func export(request unsafe.Pointer) unsafe.Pointer {
	defer abi.Enter()()
	answer, err := Ask((*wire.Request)(request).Take())
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	// An outcome holds a denial or a change, which lie at the same place; the denial is the larger one.
	type change struct {
		form uint8
		text abi.Text
	}
	type mutation struct {
		outcome               uint8
		denial                wire.Denial
		warnings, annotations abi.List
	}
	passed := mutation{
		warnings: abi.PassStrings(answer.Warnings), annotations: wire.PassAnnotations(answer.AuditAnnotations),
	}
	if !answer.allowed {
		passed.denial = wire.PassDenial(answer.denial)
	} else {
		passed.outcome = 1
		text := abi.Pass(string(answer.Change.text))
		*(*change)(unsafe.Pointer(&passed.denial)) = change{uint8(answer.Change.form), text}
	}
	return abi.Answer(passed)
}
