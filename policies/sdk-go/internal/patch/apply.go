package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Apply gives the object after a JSON Patch. For unit tests; the server has its own.
func Apply(object, patch json.RawMessage) (json.RawMessage, error) {
	tree, err := parse(object)
	if err != nil {
		return nil, err
	}
	var operations []Operation
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, fmt.Errorf("the patch does not decode: %w", err)
	}
	for index, operation := range operations {
		if tree, err = operation.apply(tree); err != nil {
			return nil, fmt.Errorf("operation %d of the patch (%s %s): %w", index, operation.Op, operation.Path, err)
		}
	}
	return json.Marshal(tree)
}

// Merge gives the object after a JSON Merge Patch.
func Merge(object, patch json.RawMessage) (json.RawMessage, error) {
	tree, err := parse(object)
	if err != nil {
		return nil, err
	}
	change, err := parse(patch)
	if err != nil {
		return nil, err
	}
	return json.Marshal(merge(tree, change))
}

func merge(tree, change any) any {
	changes, ok := change.(map[string]any)
	if !ok {
		return change
	}
	members, ok := tree.(map[string]any)
	if !ok {
		members = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = merge(members[name], value)
		}
	}
	return members
}

func (o Operation) apply(tree any) (any, error) {
	switch o.Op {
	case "add", "replace", "test":
		value, err := parse(o.Value)
		if err != nil {
			return nil, err
		}
		if o.Op != "test" {
			return put(tree, steps(o.Path), value, o.Op == "add")
		}
		found, err := look(tree, steps(o.Path))
		if err == nil && !reflect.DeepEqual(found, value) {
			err = fmt.Errorf("found %v", found)
		}
		return tree, err
	case "remove":
		return remove(tree, steps(o.Path))
	case "move", "copy":
		value, err := look(tree, steps(o.From))
		if err != nil {
			return nil, err
		}
		if o.Op == "move" {
			if tree, err = remove(tree, steps(o.From)); err != nil {
				return nil, err
			}
		} else if value, err = clone(value); err != nil {
			return nil, err
		}
		return put(tree, steps(o.Path), value, true)
	}
	return nil, fmt.Errorf("there is no operation %q", o.Op)
}

func look(tree any, path []string) (any, error) {
	if len(path) == 0 {
		return tree, nil
	}
	switch at := tree.(type) {
	case map[string]any:
		if value, found := at[path[0]]; found {
			return look(value, path[1:])
		}
	case []any:
		if index, ok := position(path[0], len(at)); ok {
			return look(at[index], path[1:])
		}
	}
	return nil, fmt.Errorf("there is no %s", path[0])
}

// within changes what holds the last step, and puts the change back into what holds that.
func within(tree any, path []string, change func(holder any, step string) (any, error)) (any, error) {
	if len(path) == 1 {
		return change(tree, path[0])
	}
	inner, err := look(tree, path[:1])
	if err != nil {
		return nil, err
	}
	inner, err = within(inner, path[1:], change)
	if err != nil {
		return nil, err
	}
	return put(tree, path[:1], inner, false)
}

func put(tree any, path []string, value any, add bool) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	return within(tree, path, func(holder any, step string) (any, error) {
		switch at := holder.(type) {
		case map[string]any:
			if _, found := at[step]; found || add {
				at[step] = value
				return at, nil
			}
		case []any:
			if add && step == "-" {
				return append(at, value), nil
			}
			if index, ok := position(step, len(at)+1); ok && add {
				return append(at[:index:index], append([]any{value}, at[index:]...)...), nil
			}
			if index, ok := position(step, len(at)); ok {
				at[index] = value
				return at, nil
			}
		}
		return nil, fmt.Errorf("there is no %s", step)
	})
}

func remove(tree any, path []string) (any, error) {
	if len(path) == 0 {
		return nil, nil
	}
	return within(tree, path, func(holder any, step string) (any, error) {
		switch at := holder.(type) {
		case map[string]any:
			if _, found := at[step]; found {
				delete(at, step)
				return at, nil
			}
		case []any:
			if index, ok := position(step, len(at)); ok {
				return append(at[:index:index], at[index+1:]...), nil
			}
		}
		return nil, fmt.Errorf("there is no %s", step)
	})
}

func steps(path string) []string {
	all := strings.Split(path, "/")[1:]
	for index, step := range all {
		all[index] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return all
}

func position(step string, length int) (int, bool) {
	index, err := strconv.Atoi(step)
	return index, err == nil && index >= 0 && index < length
}

func clone(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// parse keeps numbers as they are written.
func parse(text json.RawMessage) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}
