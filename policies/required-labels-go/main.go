// Requires labels and annotations, each with any value or one that matches a regular expression. The same as
// ../required-labels, in Go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"verdict.dev/policy"
	"verdict.dev/policy/validating"
)

type settings struct {
	Labels      []required `json:"labels"`
	Annotations []required `json:"annotations"`
}

// required is a key alone, or an object.
type required struct {
	Key     string  `json:"key"`
	Pattern *string `json:"pattern"`
	regexp  *regexp.Regexp
}

func (r *required) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &r.Key)
	}
	if text[0] != '{' {
		return policy.SettingErrorf("", "expected a key, or {key, pattern}")
	}
	type plain required
	return policy.DecodeSettings(text, (*plain)(r))
}

var active settings

func init() {
	policy.Init(take)
	policy.WarmUp(warmUp)
	validating.Export(validate)
}

func main() {}

func take(s settings) error {
	if len(s.Labels) == 0 && len(s.Annotations) == 0 {
		return errors.New("expected at least one of labels and annotations")
	}
	active = s
	return errors.Join(check("/labels", s.Labels), check("/annotations", s.Annotations))
}

func check(path string, all []required) error {
	var found []error
	seen := map[string]bool{}
	for i := range all {
		one := &all[i]
		at := fmt.Sprintf("%s/%d", path, i)
		if one.Key == "" {
			found = append(found, policy.SettingErrorf(at, "expected a key, got an empty one"))
		}
		if seen[one.Key] {
			found = append(found, policy.SettingErrorf(at, "the key %s is listed twice", one.Key))
		}
		seen[one.Key] = true
		if one.Pattern == nil {
			continue
		}
		var err error
		if one.regexp, err = regexp.Compile(*one.Pattern); err != nil {
			found = append(found, policy.SettingErrorf(at+"/pattern", "expected a regular expression: %v", err))
		}
	}
	return errors.Join(found...)
}

type object struct {
	Metadata struct {
		DeletionTimestamp *string           `json:"deletionTimestamp"`
		Labels            map[string]string `json:"labels"`
		Annotations       map[string]string `json:"annotations"`
	} `json:"metadata"`
}

func validate(request *policy.AdmissionRequest) (validating.Validation, error) {
	// A delete has no object, and what a subresource is sent with (a Scale, a Binding) has labels of its own.
	if request.Object == nil || request.SubResource != "" {
		return validating.Allow(), nil
	}
	var object object
	if err := request.DecodeObject(&object); err != nil {
		return validating.Validation{}, err
	}
	// What is going away only loses its finalizers, and must be able to.
	if request.Operation == policy.Update && object.Metadata.DeletionTimestamp != nil {
		return validating.Allow(), nil
	}
	causes := missing("label", active.Labels, object.Metadata.Labels)
	causes = append(causes, missing("annotation", active.Annotations, object.Metadata.Annotations)...)
	messages := make([]string, len(causes))
	for i, cause := range causes {
		messages[i] = cause.Message
	}
	return validating.FromCauses(strings.Join(messages, "; "), causes...), nil
}

func missing(name string, all []required, found map[string]string) []policy.Cause {
	var causes []policy.Cause
	for _, one := range all {
		field := "metadata." + name + "s." + one.Key
		// A key with dots or a slash would read as a path.
		if strings.ContainsAny(one.Key, "./") {
			field = "metadata." + name + "s[" + one.Key + "]"
		}
		value, there := found[one.Key]
		switch {
		case !there:
			causes = append(causes, policy.Cause{
				Field: field, Reason: "FieldValueRequired", Message: fmt.Sprintf("the %s %s is required", name, one.Key),
			})
		case one.regexp != nil && !one.regexp.MatchString(value):
			causes = append(causes, policy.Cause{
				Field: field, Reason: "FieldValueInvalid",
				Message: fmt.Sprintf("the %s %s must match %s, got %q", name, one.Key, one.regexp, value),
			})
		}
	}
	return causes
}

// warmUp answers one review of every kind of answer, so that decoding is ready before the first real one.
func warmUp() {
	for _, text := range []string{
		`{"metadata": {"name": "a", "labels": {"a": "b"}, "annotations": {"a": "b"}}, "spec": {"list": [1, {"a": null}]}}`,
		`{"metadata": {}}`,
	} {
		_, _ = validate(&policy.AdmissionRequest{Operation: policy.Create, Object: policy.JSON(text)})
	}
}
