package authentication

import (
	"encoding/json"
	"fmt"
)

// Token is a bearer token: a secret. However it is printed, logged or marshalled, it shows nothing; [Token.Expose] does.
type Token struct{ secret string }

// NewToken is for unit tests.
func NewToken(secret string) Token { return Token{secret} }

// Expose gives the secret itself.
func (t Token) Expose() string { return t.secret }

const hidden = "Token(..)"

// Format shows nothing, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalJSON shows nothing.
func (t Token) MarshalJSON() ([]byte, error) { return json.Marshal(hidden) }

// UnmarshalJSON reads the token of a review, in unit tests.
func (t *Token) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &t.secret) }
