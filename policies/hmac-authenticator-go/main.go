// Verifies tokens that are signed with HMAC-SHA256: base64url(payload).base64url(signature), where the payload is JSON
// with key, user, groups, audiences and exp. The keys come from an environment variable that is granted.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"verdict.dev/policy"
	"verdict.dev/policy/authentication"
)

// variable holds the keys: ID=SECRET, separated by commas; the secrets in base64, at least 32 bytes each.
const variable = "HMAC_KEYS"

type settings struct {
	// Groups are those that tokens may put a user into; nil for all but those of Kubernetes itself.
	Groups []string `json:"groups"`
}

type payload struct {
	// Key is the ID of the key that signed this.
	Key       string   `json:"key"`
	User      string   `json:"user"`
	Groups    []string `json:"groups"`
	Audiences []string `json:"audiences"`
	// Expires is in seconds since 1970.
	Expires int64 `json:"exp"`
}

var (
	active settings
	keys   map[string][]byte
)

func init() {
	policy.Init(take)
	policy.WarmUp(warmUp)
	authentication.Export(authenticate)
}

func main() {}

func take(s settings) error {
	active = s
	var err error
	keys, err = parseKeys(os.Getenv(variable))
	return err
}

// parseKeys shows nothing of the text in its errors: what looks like an ID may be a secret that was put there.
func parseKeys(text string) (map[string][]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("expected keys in the environment variable %s: grant it", variable)
	}
	found := map[string][]byte{}
	for i, one := range strings.Split(text, ",") {
		id, secret, named := strings.Cut(strings.TrimSpace(one), "=")
		key, err := base64.StdEncoding.DecodeString(secret)
		if !named || id == "" || err != nil {
			return nil, fmt.Errorf("%s: expected ID=SECRET with the secret in base64 as key %d", variable, i+1)
		}
		if len(key) < sha256.Size {
			return nil, fmt.Errorf("%s: key %d has %d bytes, expected at least %d", variable, i+1, len(key), sha256.Size)
		}
		if found[id] != nil {
			return nil, fmt.Errorf("%s: key %d has the ID of another one", variable, i+1)
		}
		found[id] = key
	}
	return found, nil
}

func authenticate(review *authentication.Review) (authentication.Outcome, error) {
	token, key, ours := parse(review.Token.Expose())
	if !ours {
		return authentication.Unknown(), nil
	}
	if err := verify(review.Token.Expose(), key); err != nil {
		return authentication.Rejected(err.Error()), nil
	}
	// From here on the words are those of somebody who has the key.
	if time.Now().Unix() >= token.Expires {
		return authentication.Rejected(fmt.Sprintf("the token of %q has expired", token.User)), nil
	}
	if err := active.check(token); err != nil {
		return authentication.Rejected(err.Error()), nil
	}
	user := policy.UserInfo{Username: token.User, Groups: token.Groups}
	if len(token.Audiences) == 0 {
		return authentication.Authenticated(user), nil
	}
	audiences := slices.DeleteFunc(slices.Clone(review.Audiences), func(asked string) bool {
		return !slices.Contains(token.Audiences, asked)
	})
	// A token for some audiences is nobody's elsewhere, also at the API server when it asks for its own.
	if len(audiences) == 0 {
		return authentication.Unknown(), nil
	}
	return authentication.Authenticated(user, audiences...), nil
}

// parse tells whether a token has our form and names a key of ours. Nothing in it is to be believed yet.
func parse(text string) (token payload, key []byte, ours bool) {
	encoded, _, found := strings.Cut(text, ".")
	if !found {
		return token, nil, false
	}
	bytes, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || json.Unmarshal(bytes, &token) != nil {
		return token, nil, false
	}
	key, ours = keys[token.Key]
	return token, key, ours
}

func verify(text string, key []byte) error {
	encoded, signature, _ := strings.Cut(text, ".")
	given, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil {
		return errors.New("the signature is no base64url")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(encoded))
	// In constant time.
	if !hmac.Equal(given, mac.Sum(nil)) {
		return errors.New("the signature is wrong")
	}
	return nil
}

// check keeps a key that leaked from making anybody a part of the cluster itself.
func (s settings) check(token payload) error {
	if token.User == "" || strings.HasPrefix(token.User, "system:") {
		return fmt.Errorf("tokens for the user %q are not taken", token.User)
	}
	for _, group := range token.Groups {
		if s.Groups == nil && strings.HasPrefix(group, "system:") || s.Groups != nil && !slices.Contains(s.Groups, group) {
			return fmt.Errorf("tokens for the group %q are not taken", group)
		}
	}
	return nil
}

// warmUp verifies a token that is good but for its age.
func warmUp() {
	for id, key := range keys {
		text, err := json.Marshal(payload{Key: id, User: "a", Groups: []string{"b"}, Audiences: []string{"c"}, Expires: 1})
		if err != nil {
			return
		}
		_, _ = authenticate(&authentication.Review{Token: authentication.NewToken(sign(text, key)), Audiences: []string{"c"}})
	}
}

func sign(payload, key []byte) string {
	encoded := base64.RawURLEncoding.EncodeToString(payload)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(encoded))
	return encoded + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
