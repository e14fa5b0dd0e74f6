// Allows what a user's tickets say: values of an extra field of the user, for example a claim that the API server takes
// from OIDC tokens. A ticket is NAMESPACE:LEVEL, and may end with @TIME, when it expires.
package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"verdict.dev/policy"
	"verdict.dev/policy/authorization"
)

type settings struct {
	// Extra is the key of the extra field.
	Extra  string           `json:"extra"`
	Levels map[string]level `json:"levels"`
}

// level is what a ticket allows within its namespaces.
type level struct {
	Verbs []string `json:"verbs"`
	// Resources, with group and subresource as in deployments.apps and pods/log; * is all, but no subresource.
	Resources []string `json:"resources"`
}

type ticket struct {
	text string
	// namespaces is a pattern as of path.Match.
	namespaces string
	level      level
	expires    time.Time
}

var active settings

func init() {
	policy.Init(take)
	policy.WarmUp(warmUp)
	authorization.Export(authorize)
}

func main() {}

func take(s settings) error {
	var wrong []error
	// The API server gives webhooks these keys in lower case.
	if s.Extra == "" || s.Extra != strings.ToLower(s.Extra) {
		wrong = append(wrong, policy.SettingErrorf("/extra", "expected a key in lower case, for example example.org/tickets"))
	}
	if len(s.Levels) == 0 {
		wrong = append(wrong, policy.SettingErrorf("/levels", "expected at least one level"))
	}
	for name, level := range s.Levels {
		if strings.ContainsAny(name, ":@") {
			wrong = append(wrong, policy.SettingErrorf(policy.Pointer("levels", name), "expected a name without : and @"))
		}
		if len(level.Verbs) == 0 {
			wrong = append(wrong, policy.SettingErrorf(policy.Pointer("levels", name, "verbs"), "expected at least one verb"))
		}
		if len(level.Resources) == 0 {
			wrong = append(wrong, policy.SettingErrorf(policy.Pointer("levels", name, "resources"), "expected at least one resource"))
		}
	}
	active = s
	return errors.Join(wrong...)
}

func authorize(review *authorization.Review) (authorization.Ruling, error) {
	asked := review.Resource
	// Tickets are for namespaces. A list of all namespaces has none.
	if asked == nil || asked.Namespace == "" {
		return authorization.NoOpinion(), nil
	}
	for _, value := range review.User.Extra[active.Extra] {
		ticket, err := parse(value)
		if err != nil {
			// Another of the user's tickets may do.
			policy.Log(policy.Warn, "a ticket of %q is passed over: %v", review.User.Username, err)
			continue
		}
		if ticket.allows(asked) {
			return authorization.Allow("ticket " + ticket.text), nil
		}
	}
	return authorization.NoOpinion(), nil
}

func parse(text string) (ticket, error) {
	text, expires, limited := strings.Cut(text, "@")
	namespaces, name, _ := strings.Cut(text, ":")
	level, known := active.Levels[name]
	if !known {
		return ticket{}, fmt.Errorf("expected NAMESPACE:LEVEL, got %q", text)
	}
	if _, err := path.Match(namespaces, ""); err != nil || namespaces == "" {
		return ticket{}, fmt.Errorf("expected a namespace or a pattern of some, got %q", namespaces)
	}
	parsed := ticket{text: text, namespaces: namespaces, level: level}
	if limited {
		var err error
		if parsed.expires, err = time.Parse(time.RFC3339, expires); err != nil {
			return ticket{}, fmt.Errorf("expected a time such as 2030-01-31T23:59:59Z, got %q", expires)
		}
	}
	return parsed, nil
}

func (t ticket) allows(asked *authorization.ResourceAttributes) bool {
	if !t.expires.IsZero() && !time.Now().Before(t.expires) {
		return false
	}
	if within, err := path.Match(t.namespaces, asked.Namespace); err != nil || !within {
		return false
	}
	// Who asks for all verbs or resources asks for more than a list of some.
	if !slices.Contains(t.level.Verbs, asked.Verb) && !slices.Contains(t.level.Verbs, "*") {
		return false
	}
	resource := asked.Resource
	if asked.Group != "" {
		resource += "." + asked.Group
	}
	if asked.Subresource != "" {
		return slices.Contains(t.level.Resources, resource+"/"+asked.Subresource)
	}
	return slices.Contains(t.level.Resources, resource) || slices.Contains(t.level.Resources, "*")
}

func warmUp() {
	for name := range active.Levels {
		_, _ = authorize(&authorization.Review{
			User:     policy.UserInfo{Extra: map[string][]string{active.Extra: {"a-*:" + name + "@2020-01-01T00:00:00Z"}}},
			Resource: &authorization.ResourceAttributes{Namespace: "a", Verb: "get", Resource: "pods"},
		})
	}
}
