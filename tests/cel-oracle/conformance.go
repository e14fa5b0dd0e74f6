package main

import (
	"fmt"
	"os"
	"path/filepath"

	// Messages of these packages lie in the files.
	_ "cel.dev/expr/conformance/proto2"
	_ "cel.dev/expr/conformance/proto3"
	"cel.dev/expr/conformance/test"
	"google.golang.org/protobuf/encoding/prototext"
)

// conformance gives the expressions of cel-spec's files in folder, without repetition. What the files expect is not
// used: Kubernetes differs from it in places, and Kubernetes is what counts here.
func conformance(folder string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.textproto"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no conformance files in %s", folder)
	}
	var expressions []string
	known := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var file test.SimpleTestFile
		if err := prototext.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, section := range file.Section {
			for _, one := range section.Test {
				if !known[one.Expr] {
					known[one.Expr] = true
					expressions = append(expressions, one.Expr)
				}
			}
		}
	}
	return expressions, nil
}
