// Package authentication answers TokenReview: who is the bearer of this token?
package authentication

import (
	"errors"

	"verdict.dev/policy"
)

// Review is what is asked.
type Review struct {
	Token Token
	// Audiences are those for which the token must be good; empty for those of the API server.
	Audiences []string
}

// Outcome is the answer: made by [Authenticated], [Unknown] or [Rejected]. The zero value is none, which is an error of the
// policy's.
type Outcome struct {
	form      outcome
	user      policy.UserInfo
	audiences []string
	reason    string
}

type outcome uint8

const (
	none outcome = iota
	unknown
	rejected
	authenticated
)

// Authenticated tells who the bearer is. The username must not be empty. The audiences are those asked for that the token is
// good for; none when the policy does not know audiences, which makes it good for the API server's own only.
func Authenticated(user policy.UserInfo, audiences ...string) Outcome {
	return Outcome{form: authenticated, user: user, audiences: audiences}
}

// Unknown is not a token that this policy knows: the next authenticator is asked.
func Unknown() Outcome { return Outcome{form: unknown} }

// Rejected is a token of this policy's that is no good: nobody else is asked. The reason goes to the log.
func Rejected(reason string) Outcome { return Outcome{form: rejected, reason: reason} }

// User is who was recognised, if anybody was.
func (o Outcome) User() (user policy.UserInfo, ok bool) { return o.user, o.form == authenticated }

// Audiences are those that the token is good for.
func (o Outcome) Audiences() []string { return o.audiences }

// Rejection is why the token is no good, if it was rejected.
func (o Outcome) Rejection() (reason string, ok bool) { return o.reason, o.form == rejected }

// Func decides. An error means that it could not.
type Func func(review *Review) (Outcome, error)

var authenticate Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { authenticate = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(review *Review) (Outcome, error) {
	answer, err := authenticate(review)
	if err == nil && answer.form == none {
		err = errors.New("the policy gave no answer: return authentication.Authenticated(user), Unknown() or Rejected(reason)")
	}
	return answer, err
}
