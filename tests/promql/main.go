// Reads Prometheus' rules and expressions with Prometheus' own code, and tells which series they ask for.
//
// Input, one JSON object in each line: {"rules": "the text of a file"} or {"expr": "an expression"}. Output, one line for each:
// {"errors": [...], "asked": [{"metric": "name", "labels": ["a", "b"]}]}, with the labels that are matched, grouped or joined by.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type question struct {
	Rules string `json:"rules"`
	Expr  string `json:"expr"`
}

type asked struct {
	Metric string   `json:"metric"`
	Labels []string `json:"labels"`
}

type answer struct {
	Errors []string `json:"errors"`
	Asked  []asked  `json:"asked"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		a := answer{Errors: []string{}, Asked: []asked{}}
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if q.Rules != "" {
			groups, errs := rulefmt.Parse([]byte(q.Rules))
			for _, err := range errs {
				a.Errors = append(a.Errors, err.Error())
			}
			if groups != nil {
				for _, group := range groups.Groups {
					for _, rule := range group.Rules {
						a.expr(rule.Expr.Value)
					}
				}
			}
		} else {
			a.expr(q.Expr)
		}
		if err := out.Encode(a); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// What an expression asks for. The labels that it groups by belong to each series within.
func (a *answer) expr(text string) {
	expr, err := parser.ParseExpr(text)
	if err != nil {
		a.Errors = append(a.Errors, err.Error())
		return
	}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		one := asked{Metric: selector.Name, Labels: []string{}}
		for _, matcher := range selector.LabelMatchers {
			if matcher.Name != labels.MetricName {
				one.Labels = append(one.Labels, matcher.Name)
			}
		}
		for _, above := range path {
			if aggregate, is := above.(*parser.AggregateExpr); is {
				one.Labels = append(one.Labels, aggregate.Grouping...)
			}
		}
		a.Asked = append(a.Asked, one)
		return nil
	})
}
