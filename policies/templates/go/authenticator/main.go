// Knows tokens by their SHA-256 digests.
package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"

	"verdict.dev/policy"
	"verdict.dev/policy/authentication"
)

type settings struct {
	Users []user `json:"users"`
}

type user struct {
	SHA256   string   `json:"sha256"`
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
}

var users []user

func init() {
	policy.Init(take)
	authentication.Export(authenticate)
}

func main() {}

// take runs once, before any review.
func take(s settings) error {
	var wrong []error
	for i, user := range s.Users {
		digest, err := hex.DecodeString(user.SHA256)
		if err != nil || len(digest) != sha256.Size || user.SHA256 != strings.ToLower(user.SHA256) {
			at := policy.Pointer("users", i, "sha256")
			wrong = append(wrong, policy.SettingErrorf(at, "expected 64 hexadecimal digits, lower case"))
		}
		if user.Username == "" {
			at := policy.Pointer("users", i, "username")
			wrong = append(wrong, policy.SettingErrorf(at, "expected a name, got an empty one"))
		}
	}
	users = s.Users
	return errors.Join(wrong...)
}

func authenticate(review *authentication.Review) (authentication.Outcome, error) {
	sum := sha256.Sum256([]byte(review.Token.Expose()))
	digest := []byte(hex.EncodeToString(sum[:]))
	outcome := authentication.Unknown()
	// All are compared, so that the time it takes tells nothing.
	for _, user := range users {
		if subtle.ConstantTimeCompare(digest, []byte(user.SHA256)) == 1 {
			outcome = authentication.Authenticated(policy.UserInfo{Username: user.Username, Groups: user.Groups})
		}
	}
	return outcome, nil
}
