package host

import (
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

func newWords() (*lastWords, *logged) {
	log := &logged{}
	return &lastWords{talk: &talk{log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}}, log
}

func TestLastWordsKeepWhatACrashLeaves(t *testing.T) {
	w, log := newWords()
	w.listen(strings.NewReader("loading\n" +
		`{"@level":"warn","@message":"low light","rate_hz":12345678901234567890,"@timestamp":"x"}` + "\n" +
		strings.Repeat("x", 3*longestLog) + "\n\n" +
		"panic: no device\n\ngoroutine 1 [running]:\nmain.main()\n" + strings.Repeat("\tdeeper\n", 50)))
	cause, lines := w.last()
	if cause != "panic: no device" || len(lines) != keptWords || lines[0] != cause || lines[1] != "goroutine 1 [running]:" {
		t.Errorf("cause %q, lines %q", cause, lines)
	}
	w.talk.end()
	text := log.String()
	if !strings.Contains(text, `level=WARN msg="low light" rate_hz=12345678901234567890`) {
		t.Errorf("the record is not in the log: %.300s", text)
	}
	if !strings.Contains(text, "text=loading") || len(text) > 2*longestLog {
		t.Errorf("log of %d bytes: %.300s", len(text), text)
	}
}

func TestLastWordsAreTheLastOnes(t *testing.T) {
	w, _ := newWords()
	for range 100 {
		w.read("chatter")
	}
	w.read("cannot open the device")
	if cause, lines := w.last(); cause != "" || len(lines) != keptWords || lines[keptWords-1] != "cannot open the device" {
		t.Errorf("cause %q, lines %q", cause, lines)
	}
}

func FuzzHear(f *testing.F) {
	for _, line := range []string{"", "panic: x", "{", `{"@message":5}`, `{"@message":"m","@level":"fatal","a":{"b":[1e999]}}`, "\xff\x00", strings.Repeat("ä", keptOfLine), "panic: " + strings.Repeat("\x00", longestLog)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, _ := newWords()
		w.listen(strings.NewReader(text))
		w.talk.end()
		cause, lines := w.last()
		if len(lines) > keptWords {
			t.Errorf("%d lines kept", len(lines))
		}
		for _, line := range append(lines, cause) {
			if len(line) > keptOfLine+len("...") || !utf8.ValidString(line) {
				t.Errorf("kept is %q", line)
			}
		}
	})
}
