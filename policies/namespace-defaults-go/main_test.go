package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"verdict.dev/policy"
	"verdict.dev/policy/changes"
	"verdict.dev/policy/policytest"
)

func TestTheSampleChangesGiveTheVerdictThatTheyAreNamedAfter(t *testing.T) {
	policytest.Init(t, `{"exemptNamespaces": ["kube-system"]}`)
	files, err := filepath.Glob("reviews/*.json")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		actions, err := changes.Ask(policytest.Change(t, file))
		if answered := strings.HasPrefix(filepath.Base(file), "answered-"); answered != (err == nil) {
			t.Errorf("%s: %v %v", file, actions, err)
		}
	}
}

func TestALabelTakesItAwayAndItsLossBringsItBack(t *testing.T) {
	policytest.Init(t, `{"exemptNamespaces": ["kube-system"]}`)
	object := func(name, more string) policy.JSON {
		return policy.JSON(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "` + name + `"` + more + `}}`)
	}
	closed, open := object("shop", `, "labels": {"a": "b"}`), object("shop", `, "labels": {"example.org/network": "open"}`)
	for name, one := range map[string]struct {
		change changes.Change
		want   string
	}{
		"new":             {changes.Change{Type: changes.Added, Object: closed}, "apply"},
		"new and open":    {changes.Change{Type: changes.Added, Object: open}, "delete"},
		"opened":          {changes.Change{Type: changes.Modified, Object: open, OldObject: closed}, "delete"},
		"closed again":    {changes.Change{Type: changes.Modified, Object: closed, OldObject: open}, "apply"},
		"otherwise":       {changes.Change{Type: changes.Modified, Object: closed, OldObject: closed}, ""},
		"still open":      {changes.Change{Type: changes.Modified, Object: open, OldObject: open}, ""},
		"after a restart": {changes.Change{Type: changes.Modified, Object: closed, OldObject: closed, Replayed: true}, "apply"},
		"not known":       {changes.Change{Type: changes.Modified, Object: open}, "delete"},
		"exempt":          {changes.Change{Type: changes.Added, Object: object("kube-system", "")}, ""},
		"deleted":         {changes.Change{Type: changes.Deleted, Object: closed}, ""},
		"being deleted":   {changes.Change{Type: changes.Modified, Object: object("shop", `, "deletionTimestamp": "2026-03-02T09:30:00Z"`)}, ""},
	} {
		actions, err := changes.Ask(&one.change)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(actions)
		if err != nil {
			t.Fatal(err)
		}
		wanted := one.want != "" && len(actions) == 1 && strings.HasPrefix(string(text), `[{"`+one.want+`":`)
		if !wanted && (one.want != "" || len(actions) > 0) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
