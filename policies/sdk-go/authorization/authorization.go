// Package authorization answers SubjectAccessReview: may this user do this?
package authorization

import (
	"errors"

	"verdict.dev/policy"
)

// Operator is how a requirement compares.
type Operator uint8

// As Kubernetes has them.
const (
	In Operator = iota
	NotIn
	Exists
	DoesNotExist
)

// Requirement is one of a field or label selector, of which all must hold.
type Requirement struct {
	Key      string
	Operator Operator
	Values   []string
}

// ResourceAttributes is what is asked about a resource (authorization.k8s.io/v1).
type ResourceAttributes struct {
	// Verb is for example get, or * for all.
	Verb, Group, Version, Resource, Subresource string
	// Namespace is empty for cluster-scoped resources and for all namespaces.
	Namespace string
	// Name is empty for all names.
	Name string
	// FieldSelector and LabelSelector narrow a list, watch or deletecollection.
	FieldSelector, LabelSelector []Requirement
}

// NonResourceAttributes is what is asked about a path that is no resource.
type NonResourceAttributes struct{ Verb, Path string }

// Review is what is asked: either Resource or NonResource is there.
type Review struct {
	User        policy.UserInfo
	Resource    *ResourceAttributes
	NonResource *NonResourceAttributes
}

// Ruling is the answer: made by [Allow], [Deny] or [NoOpinion]. The zero value is none, which is an error of the policy's.
type Ruling struct {
	decision decision
	reason   string
}

type decision uint8

const (
	none decision = iota
	noOpinion
	deny
	allow
)

// Allow ends the question.
func Allow(reason string) Ruling { return Ruling{allow, reason} }

// Deny ends the question; the user sees the reason.
func Deny(reason string) Ruling { return Ruling{deny, reason} }

// NoOpinion lets the next authorizer decide.
func NoOpinion() Ruling { return Ruling{decision: noOpinion} }

// Allowed and Denied are both false without an opinion.
func (r Ruling) Allowed() bool { return r.decision == allow }

// Denied tells whether the question ends with a no.
func (r Ruling) Denied() bool { return r.decision == deny }

// Reason is what the user or the audit log sees.
func (r Ruling) Reason() string { return r.reason }

// Func decides. An error means that it could not: the operator's failurePolicy decides.
type Func func(review *Review) (Ruling, error)

var authorize Func

// Export makes f what the component exports. Call it once, from func init of package main.
func Export(f Func) { authorize = f }

// Ask calls what was exported, as the server does. For unit tests.
func Ask(review *Review) (Ruling, error) {
	answer, err := authorize(review)
	if err == nil && answer.decision == none {
		err = errors.New("the policy gave no answer: return authorization.Allow(reason), Deny(reason) or NoOpinion()")
	}
	return answer, err
}
