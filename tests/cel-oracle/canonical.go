package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"gopkg.in/inf.v0"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// canonical spells a value so that types are told apart and maps are sorted, as webhook/cel/canonical.rs does.
func canonical(value ref.Val) string {
	switch value := value.(type) {
	case types.Null:
		return "null"
	case types.Bool:
		return strconv.FormatBool(bool(value))
	case types.Int:
		return strconv.FormatInt(int64(value), 10)
	case types.Uint:
		return strconv.FormatUint(uint64(value), 10) + "u"
	case types.Double:
		return double(float64(value))
	case types.String:
		return quote(string(value))
	case types.Bytes:
		return "bytes(" + hex.EncodeToString(value) + ")"
	case types.Duration:
		return fmt.Sprintf("duration(%dns)", value.Duration.Nanoseconds())
	case types.Timestamp:
		return "timestamp(" + value.Time.UTC().Format(time.RFC3339Nano) + ")"
	case *types.Optional:
		if value.HasValue() {
			return "optional.of(" + canonical(value.GetValue()) + ")"
		}
		return "optional.none()"
	case apiservercel.URL:
		return fmt.Sprintf("url(%s %s %s %s)", value.Scheme, value.Host, value.EscapedPath(), value.RawQuery)
	case apiservercel.IP:
		return "ip(" + value.Addr.String() + ")"
	case apiservercel.CIDR:
		return "cidr(" + value.Prefix.String() + ")"
	case *apiservercel.Quantity:
		return canonical(*value)
	case apiservercel.Quantity:
		billionths := new(inf.Dec).Round(value.AsDec(), 9, inf.RoundUp)
		return "quantity(" + billionths.UnscaledBig().String() + "n)"
	case apiservercel.Semver:
		return "semver(" + value.Version.String() + ")"
	case *apiservercel.Format:
		return "format(" + value.Name + ")"
	case ref.Type:
		return "type(" + value.TypeName() + ")"
	case traits.Mapper:
		var entries []string
		for at := value.Iterator(); at.HasNext() == types.True; {
			key := at.Next()
			entries = append(entries, canonical(key)+": "+canonical(value.Get(key)))
		}
		slices.Sort(entries)
		return "{" + strings.Join(entries, ", ") + "}"
	case traits.Lister:
		var items []string
		for at := value.Iterator(); at.HasNext() == types.True; {
			items = append(items, canonical(at.Next()))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprintf("unknown %T %v", value, value)
}

// double writes `1.5e3`: no plus sign, no leading zeros in the exponent.
func double(number float64) string {
	switch {
	case math.IsNaN(number):
		return "NaN"
	case math.IsInf(number, 1):
		return "inf"
	case math.IsInf(number, -1):
		return "-inf"
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(number, 'e', -1, 64), "e")
	power, err := strconv.Atoi(exponent)
	if err != nil {
		return "unknown double " + exponent
	}
	return fmt.Sprintf("%se%d", digits, power)
}

// quote writes control characters, quotes and backslashes by their number, all else as it is.
func quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, letter := range text {
		if letter < 0x20 || letter == 0x7f || letter == '"' || letter == '\\' {
			fmt.Fprintf(&quoted, "\\%02x", letter)
		} else {
			quoted.WriteRune(letter)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}
