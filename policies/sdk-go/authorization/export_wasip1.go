package authorization

import (
	"unsafe"

	"verdict.dev/policy/internal/abi"
	"verdict.dev/policy/internal/exports"
	"verdict.dev/policy/internal/wire"
)

type resourceAttributes struct {
	verb, group, version, resource, subresource, namespace, name abi.Text
	fieldSelector, labelSelector                                 abi.List
}

// review is subject-access-review. Its attributes are of a resource or of a path, which lie at the same place.
type review struct {
	user        wire.UserInfo
	nonResource uint8
	attributes  resourceAttributes
}

func init() { exports.Expect("authorization", func() bool { return authorize != nil }) }

//go:wasmexport verdict:authorization/authorization@1.0.0#authorize
func export(asked unsafe.Pointer) unsafe.Pointer {
	defer abi.Enter()()
	answer, err := Ask((*review)(asked).take())
	if err != nil {
		return abi.Fail(abi.Pass(err.Error()))
	}
	type ruling struct {
		decision uint8
		reason   abi.Text
	}
	decisions := map[decision]uint8{noOpinion: 0, deny: 1, allow: 2}
	return abi.Answer(ruling{decisions[answer.decision], abi.Pass(answer.reason)})
}

func (r *review) take() *Review {
	taken := &Review{User: r.user.Take()}
	at := &r.attributes
	if r.nonResource != 0 {
		taken.NonResource = &NonResourceAttributes{Verb: at.verb.String(), Path: at.group.String()}
	} else {
		taken.Resource = &ResourceAttributes{
			Verb: at.verb.String(), Group: at.group.String(), Version: at.version.String(),
			Resource: at.resource.String(), Subresource: at.subresource.String(),
			Namespace: at.namespace.String(), Name: at.name.String(),
			FieldSelector: requirements(at.fieldSelector), LabelSelector: requirements(at.labelSelector),
		}
	}
	abi.Taken()
	return taken
}

func requirements(list abi.List) []Requirement {
	type requirement struct {
		key      abi.Text
		operator uint8
		values   abi.List
	}
	var all []Requirement
	for _, one := range abi.Take[requirement](list) {
		all = append(all, Requirement{one.key.String(), Operator(one.operator), abi.Strings(one.values)})
	}
	return all
}
