package cleanup

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
)

func init() { exports.Expect("cleanup", func() bool { return clean != nil }) }

//go:wasmexport verdict:policy/cleanup@1.0.0#cleanup
func export() unsafe.Pointer {
	defer abi.Enter()()
	if err := clean(); err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	return abi.Ok[abi.Text]()
}
