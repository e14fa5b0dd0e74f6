// A group may read in the namespaces of a prefix.
package main

import (
	"errors"
	"fmt"
	"strings"

	"verdict.dev/policy"
	"verdict.dev/policy/authorization"
)

type settings struct {
	Group           string `json:"group"`
	NamespacePrefix string `json:"namespacePrefix"`
}

var active settings

func init() {
	policy.Init(take)
	authorization.Export(authorize)
}

func main() {}

// take runs once, before any review.
func take(s settings) error {
	var wrong []error
	if s.Group == "" {
		wrong = append(wrong, policy.SettingErrorf("/group", "expected the name of a group"))
	}
	if s.NamespacePrefix == "" {
		wrong = append(wrong, policy.SettingErrorf("/namespacePrefix", "expected how the namespaces begin"))
	}
	active = s
	return errors.Join(wrong...)
}

func authorize(review *authorization.Review) (authorization.Ruling, error) {
	asked := review.Resource
	// Nil where a path is asked about.
	if asked == nil || !review.User.InGroup(active.Group) || !strings.HasPrefix(asked.Namespace, active.NamespacePrefix) {
		return authorization.NoOpinion(), nil
	}
	// `*` is all resources, so also secrets.
	if asked.Resource == "secrets" || asked.Resource == "*" {
		return authorization.NoOpinion(), nil
	}
	switch asked.Verb {
	case "get", "list", "watch":
		return authorization.Allow(fmt.Sprintf("%s may read in %s*", active.Group, active.NamespacePrefix)), nil
	}
	return authorization.NoOpinion(), nil
}
