package authentication

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
	"verdict.dev/policy/internal/wire"
)

func init() { exports.Expect("authentication", func() bool { return authenticate != nil }) }

//go:wasmexport verdict:authentication/authentication@1.0.0#authenticate
func export(token, tokenLength, audiences, audiencesLength uint32) unsafe.Pointer {
	defer abi.Enter()()
	review := &Review{
		Token:     NewToken(abi.Text{Data: token, Length: tokenLength}.String()),
		Audiences: abi.Strings(abi.List{Data: audiences, Length: audiencesLength}),
	}
	abi.Taken()
	answer, err := Ask(review)
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	type identity struct {
		user      wire.UserInfo
		audiences abi.List
	}
	type outcome struct {
		form     uint8
		identity identity
	}
	var passed outcome
	switch answer.form {
	case authenticated:
		passed.form = 2
		passed.identity = identity{wire.PassUser(answer.user), abi.PassStrings(answer.audiences)}
	case rejected:
		passed.form = 1
		// The reason lies where an identity begins.
		passed.identity.user.Username = abi.Pass(answer.reason)
	}
	return abi.Answer(passed)
}
