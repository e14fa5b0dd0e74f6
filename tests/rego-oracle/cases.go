package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// calls runs OPA's test cases below a folder and gives what they ask of the named builtins, without repetition. What the
// cases expect is not used: OPA answers each call once more.
func calls(folder string, names []string) ([]Question, error) {
	recorder := &recorder{known: map[string]bool{}}
	for _, name := range names {
		if err := recorder.record(name); err != nil {
			return nil, err
		}
	}
	for _, version := range []ast.RegoVersion{ast.RegoV0, ast.RegoV1} {
		set, err := cases.Load(filepath.Join(folder, version.String()))
		if err != nil {
			return nil, err
		}
		for _, one := range set.Sorted().Cases {
			recorder.note = one.Note
			evaluate(one, version)
		}
	}
	return recorder.questions, nil
}

// recorder keeps the calls of builtins.
type recorder struct {
	note      string
	known     map[string]bool
	questions []Question
}

// record puts itself before a builtin.
func (r *recorder) record(name string) error {
	builtin := topdown.GetBuiltin(name)
	if builtin == nil {
		return fmt.Errorf("OPA has no %s", name)
	}
	topdown.RegisterBuiltinFunc(name, func(ctx topdown.BuiltinContext, arguments []*ast.Term, iter func(*ast.Term) error) error {
		// The last may be what the answer is compared with.
		texts := make([]string, ast.BuiltinMap[name].Decl.Arity())
		for i := range texts {
			texts[i] = canonical(arguments[i])
		}
		call := name + "(" + strings.Join(texts, ", ") + ")"
		if !r.known[call] {
			r.known[call] = true
			r.questions = append(r.questions, Question{Call: call, Origin: r.note})
		}
		return builtin(ctx, arguments, iter)
	})
	return nil
}

// evaluate runs a case for the calls that it makes. What does not compile makes none.
func evaluate(one cases.TestCase, version ast.RegoVersion) {
	defer func() { _ = recover() }()
	modules := map[string]string{}
	for i, module := range one.Modules {
		modules[fmt.Sprintf("%d.rego", i)] = module
	}
	options := ast.CompileOpts{ParserOptions: ast.ParserOptions{RegoVersion: version}}
	compiler, err := ast.CompileModulesWithOpt(modules, options)
	if err != nil {
		return
	}
	query, err := compiler.QueryCompiler().Compile(ast.MustParseBody(one.Query))
	if err != nil {
		return
	}
	store := inmem.New()
	if one.Data != nil {
		store = inmem.NewFromObject(*one.Data)
	}
	var input *ast.Term
	switch {
	case one.InputTerm != nil:
		input = ast.MustParseTerm(*one.InputTerm)
	case one.Input != nil:
		input = ast.NewTerm(ast.MustInterfaceToValue(*one.Input))
	}
	ctx := context.Background()
	_, _ = topdown.NewQuery(query).
		WithCompiler(compiler).
		WithStore(store).
		WithTransaction(storage.NewTransactionOrDie(ctx, store)).
		WithInput(input).
		Run(ctx)
}
