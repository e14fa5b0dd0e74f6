// Package wire has the records of the contract as they lie in memory, and what they are in Go. Their layout is that
// of the canonical ABI, which Go's compiler gives the same fields in the same order.
package wire

import (
	"verdict.dev/policy"
	"verdict.dev/policy/internal/abi"
)

// UserInfo is user-info.
type UserInfo struct {
	Username, UID abi.Text
	Groups, Extra abi.List
}

type extraEntry struct {
	key    abi.Text
	values abi.List
}

// Take makes it Go's.
func (u *UserInfo) Take() policy.UserInfo {
	user := policy.UserInfo{Username: u.Username.String(), UID: u.UID.String(), Groups: abi.Strings(u.Groups)}
	for _, one := range abi.Take[extraEntry](u.Extra) {
		if user.Extra == nil {
			user.Extra = map[string][]string{}
		}
		user.Extra[one.key.String()] = abi.Strings(one.values)
	}
	return user
}

// PassUser makes it the host's.
func PassUser(user policy.UserInfo) UserInfo {
	extra := make([]extraEntry, 0, len(user.Extra))
	for key, values := range user.Extra {
		extra = append(extra, extraEntry{abi.Pass(key), abi.PassStrings(values)})
	}
	return UserInfo{
		abi.Pass(user.Username), abi.Pass(user.UID), abi.PassStrings(user.Groups), abi.PassList(extra),
	}
}

type requested struct {
	kind, resource [3]abi.Text
	subresource    abi.Text
}

// Request is the request of interface admission.
type Request struct {
	uid                        abi.Text
	operation                  uint8
	kind, resource             [3]abi.Text
	subresource                abi.Text
	requested                  abi.Option[requested]
	namespace, name            abi.Text
	user                       UserInfo
	object, oldObject, options abi.Option[abi.Text]
	dryRun                     uint8
}

var operations = [...]policy.Operation{policy.Create, policy.Update, policy.Delete, policy.Connect}

// Take makes it Go's.
func (r *Request) Take() *policy.AdmissionRequest {
	kind := func(t [3]abi.Text) policy.GroupVersionKind {
		return policy.GroupVersionKind{Group: t[0].String(), Version: t[1].String(), Kind: t[2].String()}
	}
	resource := func(t [3]abi.Text) policy.GroupVersionResource {
		return policy.GroupVersionResource{Group: t[0].String(), Version: t[1].String(), Resource: t[2].String()}
	}
	json := func(o abi.Option[abi.Text]) policy.JSON {
		if o.Some == 0 {
			return nil
		}
		return o.Value.Bytes()
	}
	request := &policy.AdmissionRequest{
		UID:         r.uid.String(),
		Operation:   operations[r.operation],
		Kind:        kind(r.kind),
		Resource:    resource(r.resource),
		SubResource: r.subresource.String(),
		Namespace:   r.namespace.String(),
		Name:        r.name.String(),
		User:        r.user.Take(),
		Object:      json(r.object),
		OldObject:   json(r.oldObject),
		Options:     json(r.options),
		DryRun:      r.dryRun != 0,
	}
	if asked := r.requested.Value; r.requested.Some != 0 {
		request.Requested = &policy.Requested{
			Kind: kind(asked.kind), Resource: resource(asked.resource), SubResource: asked.subresource.String(),
		}
	}
	abi.Taken()
	return request
}

// Denial is denial.
type Denial struct {
	message abi.Text
	code    struct {
		some  uint8
		value uint16
	}
	reason     abi.Text
	causes     abi.List
	retryAfter abi.Option[uint32]
}

// PassDenial makes it the host's.
func PassDenial(denial *policy.Denial) Denial {
	type cause struct{ field, reason, message abi.Text }
	causes := make([]cause, len(denial.Causes))
	for i, one := range denial.Causes {
		causes[i] = cause{abi.Pass(one.Field), abi.Pass(one.Reason), abi.Pass(one.Message)}
	}
	passed := Denial{message: abi.Pass(denial.Message), reason: abi.Pass(denial.Reason), causes: abi.PassList(causes)}
	if denial.Code != 0 {
		passed.code.some, passed.code.value = 1, denial.Code
	}
	if denial.RetryAfter != 0 {
		passed.retryAfter = abi.Option[uint32]{Some: 1, Value: denial.RetryAfter}
	}
	return passed
}

// PassAnnotations makes them the host's.
func PassAnnotations(annotations []policy.Annotation) abi.List {
	type annotation struct{ key, value abi.Text }
	all := make([]annotation, len(annotations))
	for i, one := range annotations {
		all[i] = annotation{abi.Pass(one.Key), abi.Pass(one.Value)}
	}
	return abi.PassList(all)
}
