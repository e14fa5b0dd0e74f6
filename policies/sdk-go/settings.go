package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// SettingError is one thing that is wrong with the settings.
type SettingError struct {
	// Path is a JSON Pointer, for example /labels/0; empty for the whole.
	Path string
	// Message says what was expected. It goes to logs: leave out values that may be secrets.
	Message string
}

func (e SettingError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// SettingErrorf makes a [SettingError].
func SettingErrorf(path, format string, args ...any) SettingError {
	return SettingError{Path: path, Message: fmt.Sprintf(format, args...)}
}

// Pointer writes a JSON Pointer of names and indexes: Pointer("labels", 0) is /labels/0.
func Pointer(steps ...any) string {
	var path strings.Builder
	for _, step := range steps {
		path.WriteString("/" + escape(fmt.Sprint(step)))
	}
	return path.String()
}

// DecodeSettings decodes as encoding/json does, except that unknown fields are errors and that every error is a
// [SettingError] with its path, all of them joined. For UnmarshalJSON of types within settings: paths of the errors
// that it returns are taken as relative to the value.
func DecodeSettings(text []byte, into any) error {
	if !json.Valid(text) {
		return SettingError{Message: "expected JSON"}
	}
	var found []error
	decode("", text, reflect.ValueOf(into).Elem(), &found)
	return errors.Join(found...)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func decode(path string, text []byte, into reflect.Value, found *[]error) {
	text = bytes.TrimSpace(text)
	fail := func(err error) {
		for _, one := range settingErrors(err) {
			*found = append(*found, SettingError{Path: path + one.Path, Message: one.Message})
		}
	}
	if into.Addr().Type().Implements(unmarshaler) {
		fail(into.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text))
		return
	}
	null := string(text) == "null"
	switch kind := into.Kind(); {
	case null && (kind == reflect.Pointer || kind == reflect.Slice || kind == reflect.Map || kind == reflect.Interface):
		into.SetZero()
	case kind == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		decode(path, text, into.Elem(), found)
	case kind == reflect.Struct:
		decodeStruct(path, text, into, found)
	case kind == reflect.Slice && into.Type().Elem().Kind() != reflect.Uint8:
		var items []json.RawMessage
		if json.Unmarshal(text, &items) != nil {
			fail(expected("an array", text))
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(items), len(items)))
		for i, item := range items {
			decode(path+"/"+strconv.Itoa(i), item, into.Index(i), found)
		}
	case kind == reflect.Map && into.Type().Key().Kind() == reflect.String:
		var items map[string]json.RawMessage
		if json.Unmarshal(text, &items) != nil {
			fail(expected("an object", text))
			return
		}
		into.Set(reflect.MakeMapWithSize(into.Type(), len(items)))
		for _, name := range sorted(items) {
			value := reflect.New(into.Type().Elem()).Elem()
			decode(path+"/"+escape(name), items[name], value, found)
			into.SetMapIndex(reflect.ValueOf(name).Convert(into.Type().Key()), value)
		}
	default:
		if null || json.Unmarshal(text, into.Addr().Interface()) != nil {
			fail(expected(describe(into.Type()), text))
		}
	}
}

func decodeStruct(path string, text []byte, into reflect.Value, found *[]error) {
	var items map[string]json.RawMessage
	if string(text) == "null" || json.Unmarshal(text, &items) != nil {
		*found = append(*found, SettingError{Path: path, Message: expected("an object", text).Message})
		return
	}
	fields := map[string][]int{}
	for _, field := range reflect.VisibleFields(into.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || field.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		fields[name] = field.Index
	}
	for _, name := range sorted(items) {
		index, known := fields[name]
		if !known {
			message := "unknown field; expected none"
			if len(fields) > 0 {
				message = "unknown field; expected " + strings.Join(sorted(fields), ", ")
			}
			*found = append(*found, SettingError{Path: path + "/" + escape(name), Message: message})
			continue
		}
		field, err := into.FieldByIndexErr(index)
		if err != nil {
			*found = append(*found, SettingError{Path: path, Message: err.Error()})
			continue
		}
		decode(path+"/"+escape(name), items[name], field, found)
	}
}

// expected tells the kind of what came, never the value: settings may be secrets, and this goes to logs.
func expected(what string, text []byte) SettingError {
	return SettingErrorf("", "expected %s, got %s", what, kindOf(text))
}

func kindOf(text []byte) string {
	switch text[0] {
	case '"':
		return "a string"
	case '[':
		return "an array"
	case '{':
		return "an object"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return t.String()
	}
}

func sorted[V any](items map[string]V) []string {
	names := make([]string, 0, len(items))
	for name := range items {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// settingErrors takes joined errors apart.
func settingErrors(err error) []SettingError {
	var one SettingError
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []SettingError
		for _, part := range joined.Unwrap() {
			all = append(all, settingErrors(part)...)
		}
		return all
	}
	if errors.As(err, &one) {
		return []SettingError{one}
	}
	return []SettingError{{Message: err.Error()}}
}
