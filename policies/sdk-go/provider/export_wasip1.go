package provider

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
)

func init() { exports.Expect("provider", func() bool { return handle != nil }) }

//go:wasmexport verdict:events/provider@1.0.0#handle-event
func export(event, length uint32) unsafe.Pointer {
	defer abi.Enter()()
	text := abi.Text{Data: event, Length: length}.Bytes()
	abi.Taken()
	answer, err := handle(text)
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	return abi.Answer(abi.Pass(string(answer)))
}
