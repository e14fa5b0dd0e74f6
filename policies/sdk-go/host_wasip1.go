package policy

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
)

//go:wasmimport verdict:host/log@1.0.0 write
func importLog(level uint32, message unsafe.Pointer, length uint32)

//go:wasmimport verdict:host/audit-log@1.0.0 write
func importAudit(key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport verdict:host/review@1.0.0 raw
func importRaw(result unsafe.Pointer)

func writeLog(level Level, message string) {
	importLog(uint32(level), unsafe.Pointer(unsafe.StringData(message)), uint32(len(message)))
}

func writeAudit(key, value string) {
	importAudit(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)),
		unsafe.Pointer(unsafe.StringData(value)), uint32(len(value)))
}

func rawReview() JSON {
	result := new(abi.Text)
	// The host calls cabi_realloc within this call.
	defer abi.Resume(abi.PauseClocks())
	importRaw(unsafe.Pointer(result))
	return result.Bytes()
}

//go:wasmexport verdict:policy/lifecycle@1.0.0#init
func exportInit(settings, length uint32) unsafe.Pointer {
	defer abi.Enter()()
	text := abi.Text{Data: settings, Length: length}.Bytes()
	abi.Taken()
	var found []SettingError
	for _, kind := range exports.Missing() {
		found = append(found, SettingErrorf("", "the policy is not finished: call %s.Export in func init of package main (func main never runs)", kind))
	}
	if len(found) == 0 {
		found = initialise(text)
	}
	if len(found) == 0 {
		warmUp()
		return abi.Ok[abi.List]()
	}
	type settingError struct{ path, message abi.Text }
	errors := make([]settingError, len(found))
	for i, one := range found {
		errors[i] = settingError{abi.Pass(one.Path), abi.Pass(one.Message)}
	}
	return abi.Fail(abi.PassList(errors))
}
