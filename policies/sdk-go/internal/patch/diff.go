// Package patch makes a JSON Patch from what an author changed of a typed value, and applies patches in unit tests.
package patch

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"strings"
)

// Operation is one of RFC 6902.
type Operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Diff gives what makes of the original what an author made of a typed value: before and after are that value as
// encoding/json writes it. Only what differs between these two is touched, so what the type lacks or writes anew stays
// out of it.
func Diff(original, before, after json.RawMessage) ([]Operation, error) {
	var d differ
	d.value("", original, before, after, "replace")
	return d.operations, d.err
}

type differ struct {
	operations []Operation
	err        error
}

// value compares one place. The original is nil where it has nothing there. What is put there whole is put by set: add
// in an object, where it also replaces, and replace in a list.
func (d *differ) value(path string, original, before, after json.RawMessage, set string) {
	// The same Go value is always written in the same bytes.
	if bytes.Equal(before, after) || d.err != nil {
		return
	}
	switch {
	case isObject(before) && isObject(after) && isObject(original):
		d.object(path, d.members(original), d.members(before), d.members(after))
	case isObject(before) && isObject(after) && (original == nil || string(original) == "null"):
		// The type writes an object that is not there: only what the author put into it is new.
		if value := d.changed(before, after); string(value) != "{}" {
			d.add(Operation{Op: set, Path: path, Value: value})
		}
	case isList(before) && isList(after) && isList(original):
		was, old, now := d.items(original), d.items(before), d.items(after)
		if len(was) != len(old) {
			d.add(Operation{Op: set, Path: path, Value: after})
			return
		}
		d.list(path, was, old, now)
	default:
		d.add(Operation{Op: set, Path: path, Value: after})
	}
}

func (d *differ) object(path string, original, before, after map[string]json.RawMessage) {
	names := make([]string, 0, len(before)+len(after))
	for name := range before {
		names = append(names, name)
	}
	for name := range after {
		if _, both := before[name]; !both {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		at := path + "/" + escape(name)
		now, kept := after[name]
		was, found := original[name]
		old, known := before[name]
		switch {
		case !kept:
			if found {
				d.add(Operation{Op: "remove", Path: at})
			}
		case !known && isObject(now):
			// What is empty may have been left out.
			d.value(at, was, json.RawMessage("{}"), now, "add")
			if string(now) == "{}" && !isObject(was) {
				d.add(Operation{Op: "add", Path: at, Value: now})
			}
		default:
			d.value(at, was, old, now, "add")
		}
	}
}

// changed is after without what it has in common with before.
func (d *differ) changed(before, after json.RawMessage) json.RawMessage {
	old, now := d.members(before), d.members(after)
	for name, value := range now {
		was, known := old[name]
		switch {
		case !known:
		case bytes.Equal(was, value):
			delete(now, name)
		case isObject(was) && isObject(value):
			now[name] = d.changed(was, value)
		}
	}
	text, err := json.Marshal(now)
	d.fail(err)
	return text
}

// list removes what is gone, then goes from the first to the last element: each is moved here, or put here, and compared.
func (d *differ) list(path string, original, before, after []json.RawMessage) {
	sources := match(before, after)
	kept := map[int]bool{}
	for _, source := range sources {
		kept[source] = true
	}
	// Which elements are where now.
	var places []int
	for index := range before {
		if kept[index] {
			places = append(places, index)
		}
	}
	at := func(index int) string { return path + "/" + strconv.Itoa(index) }
	for index := len(before) - 1; index >= 0; index-- {
		if !kept[index] {
			d.add(Operation{Op: "remove", Path: at(index)})
		}
	}
	for index, source := range sources {
		if source < 0 {
			d.add(Operation{Op: "add", Path: at(index), Value: after[index]})
			places = insert(places, index, source)
			continue
		}
		if from := find(places, source); from != index {
			d.add(Operation{Op: "move", From: at(from), Path: at(index)})
			places = insert(append(places[:from:from], places[from+1:]...), index, source)
		}
		d.value(at(index), original[source], before[source], after[index], "replace")
	}
}

// match tells for each element after which one it was before, or -1: by their names, else by their positions, else by
// what is the same at the beginning and at the end.
func match(before, after []json.RawMessage) []int {
	sources := make([]int, len(after))
	for index := range sources {
		sources[index] = -1
	}
	old, named := names(before)
	if now, both := names(after); named && both {
		for name, index := range now {
			if source, known := old[name]; known {
				sources[index] = source
			}
		}
		return sources
	}
	if len(before) == len(after) {
		for index := range sources {
			sources[index] = index
		}
		return sources
	}
	shorter, first := min(len(before), len(after)), 0
	for ; first < shorter && bytes.Equal(before[first], after[first]); first++ {
		sources[first] = first
	}
	for last := 1; last <= shorter-first && bytes.Equal(before[len(before)-last], after[len(after)-last]); last++ {
		sources[len(after)-last] = len(before) - last
	}
	return sources
}

// names tells where each name is, and whether each element has one of its own.
func names(items []json.RawMessage) (map[string]int, bool) {
	all := make(map[string]int, len(items))
	for index, item := range items {
		var named struct {
			Name *string `json:"name"`
		}
		if !isObject(item) || json.Unmarshal(item, &named) != nil || named.Name == nil || *named.Name == "" {
			return nil, false
		}
		if _, twice := all[*named.Name]; twice {
			return nil, false
		}
		all[*named.Name] = index
	}
	return all, true
}

func (d *differ) add(operation Operation) { d.operations = append(d.operations, operation) }

func (d *differ) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *differ) members(text json.RawMessage) (members map[string]json.RawMessage) {
	d.fail(json.Unmarshal(text, &members))
	return members
}

func (d *differ) items(text json.RawMessage) (items []json.RawMessage) {
	d.fail(json.Unmarshal(text, &items))
	return items
}

func isObject(text json.RawMessage) bool { return begins(text, '{') }

func isList(text json.RawMessage) bool { return begins(text, '[') }

func begins(text json.RawMessage, with byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == with
}

func find(places []int, source int) int {
	for index, one := range places {
		if one == source {
			return index
		}
	}
	return -1
}

func insert(places []int, index, source int) []int {
	places = append(places, 0)
	copy(places[index+1:], places[index:])
	places[index] = source
	return places
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
