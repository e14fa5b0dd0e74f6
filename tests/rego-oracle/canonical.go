package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// canonical is the text of a value as OPA's Wasm modules write it, with sets and objects in order.
func canonical(term *ast.Term) string {
	var out strings.Builder
	write(&out, term)
	return out.String()
}

func write(out *strings.Builder, term *ast.Term) {
	switch value := term.Value.(type) {
	case ast.String:
		quote(out, string(value))
	case *ast.Array:
		out.WriteByte('[')
		for i := range value.Len() {
			separate(out, i)
			write(out, value.Elem(i))
		}
		out.WriteByte(']')
	case ast.Set:
		if value.Len() == 0 {
			out.WriteString("set()")
			return
		}
		out.WriteByte('{')
		for i, element := range value.Slice() {
			separate(out, i)
			write(out, element)
		}
		out.WriteByte('}')
	case ast.Object:
		out.WriteByte('{')
		for i, key := range value.Keys() {
			separate(out, i)
			write(out, key)
			out.WriteString(": ")
			write(out, value.Get(key))
		}
		out.WriteByte('}')
	default:
		out.WriteString(value.String())
	}
}

func separate(out *strings.Builder, i int) {
	if i > 0 {
		out.WriteString(", ")
	}
}

func quote(out *strings.Builder, text string) {
	out.WriteByte('"')
	for i := 0; i < len(text); {
		letter, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case letter == '"' || letter == '\\':
			out.WriteByte('\\')
			out.WriteRune(letter)
		case letter == '\n':
			out.WriteString(`\n`)
		case letter == '\r':
			out.WriteString(`\r`)
		case letter == '\t':
			out.WriteString(`\t`)
		case letter < ' ':
			fmt.Fprintf(out, `\u%04x`, letter)
		default:
			out.WriteRune(letter)
		}
	}
	out.WriteByte('"')
}
