package policy

import (
	"reflect"
	"strings"
	"unicode"
)

// field is where a name of a JSON object goes to.
type field struct {
	index []int
	// tagged: the name stands in a tag.
	tagged bool
	// quoted: the value stands in a string (`,string`).
	quoted bool
}

// fieldsOf are the fields of a struct by the names that encoding/json gives them: those of embedded structs are the
// struct's own, the least deep wins, then the one with a tag; of two that are alike none is a field.
func fieldsOf(t reflect.Type) map[string]field {
	found := map[string][]field{}
	collect(t, nil, map[reflect.Type]bool{}, found)
	fields := map[string]field{}
	for name, all := range found {
		if one, alone := dominant(all); alone {
			fields[name] = one
		}
	}
	return fields
}

// collect descends into embedded structs; above are the types that this one is embedded in.
func collect(t reflect.Type, index []int, above map[reflect.Type]bool, found map[string][]field) {
	if above[t] {
		return
	}
	above[t] = true
	defer delete(above, t)
	for i := range t.NumField() {
		one := t.Field(i)
		tag := one.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if !isName(name) {
			name = ""
		}
		embedded := one.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		isStruct := one.Anonymous && embedded.Kind() == reflect.Struct
		// The fields of an embedded struct may be exported where its type is not.
		if tag == "-" || !one.IsExported() && !isStruct {
			continue
		}
		at := append(append([]int(nil), index...), i)
		if isStruct && name == "" {
			collect(embedded, at, above, found)
			continue
		}
		tagged := name != ""
		if !tagged {
			name = one.Name
		}
		found[name] = append(found[name], field{at, tagged, isQuoted(options, one.Type)})
	}
}

func dominant(all []field) (field, bool) {
	best := all[0]
	alone := true
	for _, one := range all[1:] {
		switch deeper := len(one.index) - len(best.index); {
		case deeper < 0 || deeper == 0 && one.tagged && !best.tagged:
			best, alone = one, true
		case deeper == 0 && one.tagged == best.tagged:
			alone = false
		}
	}
	return best, alone
}

// isName tells whether encoding/json takes the name of a tag.
func isName(name string) bool {
	for _, letter := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", letter) && !unicode.IsLetter(letter) && !unicode.IsDigit(letter) {
			return false
		}
	}
	return name != ""
}

// isQuoted: only numbers, strings and true or false can be.
func isQuoted(options string, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch kind := t.Kind(); {
	case kind == reflect.Bool, kind == reflect.String, kind >= reflect.Int && kind <= reflect.Float64:
		for option := range strings.SplitSeq(options, ",") {
			if option == "string" {
				return true
			}
		}
	}
	return false
}

// at gives the field of a value, and makes the structs on the way that are embedded by pointers. False: their type is not
// exported, so that nothing can be put there.
func (f field) at(value reflect.Value) (reflect.Value, bool) {
	for depth, index := range f.index {
		if depth > 0 && value.Kind() == reflect.Pointer {
			if value.IsNil() {
				if !value.CanSet() {
					return value, false
				}
				value.Set(reflect.New(value.Type().Elem()))
			}
			value = value.Elem()
		}
		value = value.Field(index)
	}
	return value, true
}
