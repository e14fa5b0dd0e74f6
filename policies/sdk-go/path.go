package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// FieldPath is where something lies in an object, as Kubernetes writes it: spec.containers[0].image,
// metadata.labels[example.org/team].
type FieldPath string

// Path begins one: Path("spec", "containers").Index(0).Child("image").
func Path(fields ...string) FieldPath { return FieldPath(strings.Join(fields, ".")) }

// Child is a field of the object at this path.
func (p FieldPath) Child(field string) FieldPath {
	if p == "" {
		return FieldPath(field)
	}
	return p + "." + FieldPath(field)
}

// Index is an element of the list at this path.
func (p FieldPath) Index(index int) FieldPath { return p + FieldPath("["+strconv.Itoa(index)+"]") }

// Key is an entry of the map at this path, for example a label.
func (p FieldPath) Key(key string) FieldPath { return p + FieldPath("["+key+"]") }

// Required is a cause: this field must be set.
func (p FieldPath) Required(format string, args ...any) Cause {
	return p.cause("FieldValueRequired", format, args)
}

// Invalid is a cause: this field has a value that cannot be.
func (p FieldPath) Invalid(format string, args ...any) Cause {
	return p.cause("FieldValueInvalid", format, args)
}

// Forbidden is a cause: what this field says is not allowed.
func (p FieldPath) Forbidden(format string, args ...any) Cause {
	return p.cause("FieldValueForbidden", format, args)
}

// NotSupported is a cause: the value of this field is none of those that there are.
func (p FieldPath) NotSupported(format string, args ...any) Cause {
	return p.cause("FieldValueNotSupported", format, args)
}

func (p FieldPath) cause(reason, format string, args []any) Cause {
	return Cause{Field: string(p), Reason: reason, Message: fmt.Sprintf(format, args...)}
}
