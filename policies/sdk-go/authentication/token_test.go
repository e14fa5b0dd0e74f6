package authentication

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestATokenIsNeverPrintedByAccident(t *testing.T) {
	review := Review{Token: NewToken("s3cret"), Audiences: []string{"api"}}
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&printed, verb+verb+verb, review, &review, review.Token)
	}
	text, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(text)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("asked", "review", review, "token", review.Token)
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("asked", "review", review, "token", review.Token)
	for _, secret := range []string{"s3cret", fmt.Sprintf("%x", "s3cret")} {
		if strings.Contains(printed.String(), secret) {
			t.Error(printed.String())
		}
	}
	if !strings.Contains(printed.String(), "api") || review.Token.Expose() != "s3cret" {
		t.Error(printed.String())
	}
}
