// Command rego-compiler does what `opa build -t wasm` does, with nothing but the compiler of it: Rego in one file becomes one
// Wasm module.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/compile"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: rego-compiler ENTRYPOINT[,ENTRYPOINT...] FILE OUT")
	}
	// What the policies of Gatekeeper and Kubewarden are written in.
	compiler := compile.New().WithRegoVersion(ast.RegoV0).WithTarget(compile.TargetWasm).
		WithEntrypoints(strings.Split(args[0], ",")...).WithPaths(args[1])
	if err := compiler.Build(context.Background()); err != nil {
		return err
	}
	return os.WriteFile(args[2], compiler.Bundle().WasmModules[0].Raw, 0o600)
}
