// Package policy writes Verdict policies in Go.
//
// A policy registers what it does in func init of its package main: [Init] takes its settings, and the packages
// validating, mutating, authentication, authorization, provider and changes take the function that answers each kind of review;
// package cleanup takes what is to be done in the end.
// What is imported of them is what the component exports. `verdict build` makes the component.
//
// The same code runs natively in unit tests; package policytest calls it there.
package policy

import (
	"encoding/json"
	"errors"
)

// Init registers the function that takes the settings, once, before any review. S is any type that encoding/json can
// decode; fields that it does not have are errors. An error of the function is a configuration error: return
// [SettingError], or several joined by [errors.Join], to name the setting.
//
// The server may keep the memory as it is after init and begin every review with a copy of it. Open nothing here that
// must differ from one review to the next: a generator that is seeded here gives every review the same numbers.
func Init[S any](take func(settings S) error) {
	initialise = func(text []byte) []SettingError {
		var settings S
		if err := DecodeSettings(text, &settings); err != nil {
			return settingErrors(err)
		}
		return settingErrors(take(settings))
	}
}

// WarmUp registers the author's own warm-up, which runs at the end of init: ask the policy something typical, on data of
// its own, and discard the answer. What the runtime builds lazily (caches of types, heap) is then part of the copy that
// every review begins with. Its panics stop the policy from loading.
func WarmUp(run func()) { warmUp = run }

var (
	// A policy without settings takes none.
	initialise = func(text []byte) []SettingError {
		return settingErrors(DecodeSettings(text, &struct{}{}))
	}
	warmUp = func() {}
)

// Start does what the server does before the first review. For package policytest.
func Start(settings []byte) error {
	if found := initialise(settings); len(found) > 0 {
		all := make([]error, len(found))
		for i, one := range found {
			all[i] = one
		}
		return errors.Join(all...)
	}
	warmUp()
	return nil
}

// UserInfo is who asks, or who was recognised (authentication.k8s.io/v1 UserInfo).
type UserInfo struct {
	Username string
	UID      string
	Groups   []string
	// Extra is what else the authenticator knows of the user.
	Extra map[string][]string
}

// InGroup tells whether the user is in the group.
func (u UserInfo) InGroup(group string) bool {
	for _, one := range u.Groups {
		if one == group {
			return true
		}
	}
	return false
}

// JSON is a document as it came, or as it is to go.
type JSON = json.RawMessage
