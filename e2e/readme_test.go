package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/need"
)

var updateReadme = flag.Bool("update-readme", false, "write the picture of a run in README.md anew")

const (
	pictureBegins = "<!-- what make run shows; make readme writes it anew -->\n```\n"
	pictureEnds   = "```\n"
)

// TestReadmeShowsWhatARunShows runs README's example on a terminal and compares
// what stays there with the picture, numbers and bars aside.
func TestReadmeShowsWhatARunShows(t *testing.T) {
	script := need.Tool(t, "script", "bsdutils")
	work := t.TempDir()
	typescript := filepath.Join(work, "typescript")
	for trial := 1; ; trial++ {
		onTerminal := exec.Command(script, "-qec", "stty rows 40 cols 80 && '"+filepath.Join(bin, "tsrun")+"' '"+shipped(t, "coincidence.yaml")+"'", typescript)
		onTerminal.Dir, onTerminal.Env = work, append(os.Environ(), "TERM=xterm", "SHELL=/bin/sh", "LC_ALL=C") // a shell whose locale is not there says so
		out, err := onTerminal.CombinedOutput()
		if err == nil {
			break
		}
		if trial == mostTrials || !lastHeldUp(t, work) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(typescript)
	if err != nil {
		t.Fatal(err)
	}
	shown := staysOnTerminal(string(text))
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), pictureBegins)
	picture, after, ended := strings.Cut(rest, pictureEnds)
	if !ok || !ended {
		t.Fatal("README.md has no picture of a run")
	}
	if *updateReadme {
		if err := os.WriteFile("../README.md", []byte(before+pictureBegins+shown+pictureEnds+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want, got := masked(picture), masked(shown); !slices.Equal(want, got) {
		t.Errorf("README.md shows:\n%s\na run shows:\n%s\nmake readme writes the picture anew", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

var upToFirstBar = regexp.MustCompile(`\r\x1b\[(\d+)A\x1b\[J`)

// staysOnTerminal is what a terminal shows at the end, which does nothing but
// what bars ask of it.
func staysOnTerminal(text string) string {
	_, text, _ = strings.Cut(text, "\n") // the first line and the last are script's own
	text, _, _ = strings.Cut(text, "\nScript done")
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n") + "\n"
	var lines []string
	for text != "" {
		if m := upToFirstBar.FindStringSubmatch(text); m != nil && strings.HasPrefix(text, m[0]) {
			up := 0
			for _, digit := range m[1] {
				up = 10*up + int(digit-'0')
			}
			lines, text = lines[:max(len(lines)-up, 0)], text[len(m[0]):]
			continue
		}
		line, rest, _ := strings.Cut(text, "\n")
		lines, text = append(lines, line), rest
	}
	return strings.Join(lines, "\n") + "\n"
}

var (
	host   = regexp.MustCompile(`on \S+\)`) // the name of the PC
	bar    = regexp.MustCompile(`\[[=> ]+\].*`)
	number = regexp.MustCompile(`[+-]?\d[\d .:]*`)
	of     = regexp.MustCompile(`\b(ps|ns|us|ms|s|Hz|kHz|MHz|slow|fast|before|after)\b`)
	blanks = regexp.MustCompile(`\s+`)
	ofBusy = regexp.MustCompile(`^ *warning: .*trigger\.compensation: auto: `) // what a PC says that is so at the moment
	chance = regexp.MustCompile(`it drifts by white FM of .*? in 0 _ `)        // of few seconds, now and then
)

// masked are the lines of a picture without what differs from run to run: numbers
// and their units, bars, the order in which nodes answer, and where lines break.
func masked(picture string) []string {
	var words []string
	for line := range strings.Lines(picture) {
		if strings.HasPrefix(line, "condition") {
			break
		}
		if !ofBusy.MatchString(line) {
			words = append(words, mask(line))
		}
	}
	slices.Sort(words)
	_, summary, _ := strings.Cut(picture, "condition ")
	summary = regexp.MustCompile(`(?m)^ +highest, .*\n( {11}\w.*bin centred.*\n| {11}centred.*\n)?`).ReplaceAllString(summary, "") // where chance has it
	summary = regexp.MustCompile(`(?ms)(^firing .*?instant).*?(^clock)`).ReplaceAllString(summary, "$1\n$2")                       // what the system grants
	for _, entry := range regexp.MustCompile(`(?m)^\w`).Split(summary, -1) {
		words = append(words, chance.ReplaceAllString(mask(entry), ""))
	}
	return words
}

func mask(line string) string {
	line = host.ReplaceAllString(line, "on _)")
	line = bar.ReplaceAllString(strings.TrimSpace(line), "[]")
	line = of.ReplaceAllString(number.ReplaceAllString(line, "0 "), "_")
	return strings.TrimSpace(blanks.ReplaceAllString(line, " "))
}
