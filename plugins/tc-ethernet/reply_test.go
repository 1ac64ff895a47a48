package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckReply(t *testing.T) {
	tests := []struct {
		name     string
		commands []string
		reply    string
		culprit  string // the command named as refused; empty: none
	}{
		{"empty", []string{"REC:PLAY"}, "", ""},
		{"set", []string{"REC:NUM 1"}, "Value set to 1", ""},
		{"unknown words", []string{"REC:NUM 1"}, "okeydokey", ""},
		{"refused", []string{"REC:NUM x"}, "SCPI_ERR_INVALID_PARAMETER x", "REC:NUM x"},
		{"second of two", []string{"A 1", "B 2"}, "Value set to 1\nSCPI_ERR_OUT_OF_RANGE\n", "B 2"},
		{"in words", []string{"A 1", "B 2"}, "Value set to 1\nNo connection possible", "B 2"},
		{"in words within", []string{"A 1"}, "A: there is no connection", "A 1"},
		{"one word", []string{"A 1"}, "no", "A 1"},
		{"a word that begins so", []string{"A 1"}, "None", ""},
		{"one line for two", []string{"A 1", "B 2"}, "SCPI_ERR_OUT_OF_RANGE", "A 1;:B 2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := checkReply(test.commands, test.reply)
			var refusal *commandError
			if errors.As(err, &refusal) != (test.culprit != "") {
				t.Fatalf("error %v", err)
			}
			if refusal != nil && refusal.command != test.culprit {
				t.Errorf("refused %q, want %q", refusal.command, test.culprit)
			}
		})
	}
}

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "13\n": 13, "1000TB": 1000, "1000 TB": 1000, " 0": 0} {
		if got, err := parseCount(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "TB", "-1", "1.5", "PLAYING", "99999999999999999999"} {
		if got, err := parseCount(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		name, text string
		want       status
		fails      bool
	}{
		{"new", `{"acquisitions_count":3,"timestamps_count":17,"inactivity":0.25,"errors":[]}`,
			status{records: 3, tags: 17, inactivity: 250 * time.Millisecond}, false},
		{"old key", `{"acquisitions_count":0,"timestamps_count":0,"seconds_since_last_activity":2,"errors":[]}`,
			status{inactivity: 2 * time.Second}, false},
		{"errors", `{"acquisitions_count":1,"timestamps_count":0,"inactivity":0,"errors":[{"description":"bad"},{"description":"worse"}]}`,
			status{records: 1, errors: []string{"bad", "worse"}}, false},
		{"no errors key", `{"acquisitions_count":1,"timestamps_count":2}`, status{records: 1, tags: 2}, false},
		{"forever inactive", `{"acquisitions_count":1,"timestamps_count":2,"inactivity":1e300}`,
			status{records: 1, tags: 2, inactivity: 1e9 * time.Second}, false},
		{"no count", `{"timestamps_count":2}`, status{}, true},
		{"negative count", `{"acquisitions_count":-1,"timestamps_count":2}`, status{}, true},
		{"fraction", `{"acquisitions_count":1.5,"timestamps_count":2}`, status{}, true},
		{"list", `[]`, status{}, true},
		{"nothing", ``, status{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStatus(json.RawMessage(test.text))
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(status{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseReply(t *testing.T) {
	tests := []struct {
		name, reply, value, description string
		fails                           bool
	}{
		{"nothing", " \n", "", "", false},
		{"list", `["a"]`, `["a"]`, "", false},
		{"object", `{"id":"x"}`, `{"id":"x"}`, "", false},
		{"error", `{"error":{"description":"no such id"}}`, "", "no such id", true},
		{"error of another shape", `{"error":7}`, "", "7", true},
		{"error without value", `{"error":null}`, "", "null", true},
		{"not JSON", `okay`, "", "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			value, err := parseReply("list", test.reply)
			if (err != nil) != test.fails || string(value) != test.value {
				t.Fatalf("%s, %v", value, err)
			}
			var refusal *serviceError
			if errors.As(err, &refusal) != (test.description != "") || refusal != nil && refusal.description != test.description {
				t.Errorf("error %v, want one about %q", err, test.description)
			}
		})
	}
}

// FuzzReplies feeds texts from outside to all parsers: they may refuse them,
// and what they accept is in range.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{
		"", "13TB", "PLAYING", "Value set to 1\nSCPI_ERR_OUT_OF_RANGE x", `["10.0.0.1:5556"]`, `{"error":{"description":"x"}}`,
		`{"acquisitions_count":3,"timestamps_count":17,"inactivity":0.25,"errors":[{"description":"x"}]}`,
		`{"acquisitions_count":1,"timestamps_count":0,"inactivity":-1e308}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseCount(text); err == nil && n < 0 {
			t.Errorf("count %d", n)
		}
		if err := checkReply([]string{"A", "B"}, text); err == nil && strings.Contains(text, errorMark) {
			t.Errorf("refusal: %v", err)
		}
		if v, ok := parseValue(text); ok && (v == nil || v.BitLen() > 400) {
			t.Errorf("value %v", v)
		}
		if alikeWords(text, text) != alikeWords(text+" ", " "+text) {
			t.Error("spaces matter")
		}
		value, err := parseReply("status", text)
		if err != nil {
			return
		}
		if s, err := parseStatus(value); err == nil && (s.records < 0 || s.inactivity < 0) {
			t.Errorf("status %+v", s)
		}
	})
}
