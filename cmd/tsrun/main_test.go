package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"tsrun/internal/need"
)

// TestMain lets the test binary play tsrun in scripts, as a process of its own.
func TestMain(m *testing.M) {
	need.OwnFiles()
	testscript.Main(m, map[string]func(){"tsrun": main})
}

// TestScripts runs every script in testdata/script: one promise of the command
// line each. Beside testscript's own commands there is
//
//	exits CODE PROGRAM ARGS…
//	photons A.bin B.bin OFFSET DRIFT
//	ticks FILE.txt OFFSET DRIFT
//	builds PLUGIN…
//	listens ADDRESS
//
// and two ports, PORT and OTHER_PORT, of an address of this PC, LOOPBACK, that no other
// script or test uses, nor the same test of another checkout.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	ports := make([]int, 2*len(scripts))
	for i, first := 0, 10_000+rand.IntN(20_000); i < len(ports); i++ { // below those that the system gives
		ports[i] = first + i
	}
	address := need.Loopback(t, ports...)
	var used atomic.Int32
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			own := ports[used.Add(2)-2:]
			e.Vars = append(e.Vars, "LOOPBACK="+address, "PORT="+strconv.Itoa(own[0]), "OTHER_PORT="+strconv.Itoa(own[1]))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "photons": photons, "ticks": ticks, "builds": builds, "listens": listens},
	})
}

// exits runs a program and compares its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("exits: %q is no exit code", args[0])
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("exits: %v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// builds builds plugins of the project into the directory plugins.
func builds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: builds PLUGIN…")
	}
	for _, name := range args {
		build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", ts.MkAbs(filepath.Join("plugins", name)), "tsrun/plugins/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			ts.Fatalf("builds %s: %v\n%s", name, err, out)
		}
	}
}

// listens waits until something listens at an address.
func listens(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listens ADDRESS")
	}
	const patience = 20 * time.Second
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
			return
		}
		if time.Since(begun) > patience {
			ts.Fatalf("listens: %v", err)
		}
	}
}

// docs/exit-codes.md lists exactly the constants of main.go.
func TestExitCodesAreDocumented(t *testing.T) {
	documented := rows(t, "../../docs/exit-codes.md", `(?m)^\| (\d+) \| `+"`"+`(exit\w+)`+"`"+` \|`, 1, 2)
	declared := rows(t, "main.go", `(?m)^\t(exit[A-Z]\w*)\s+= (\d+)$`, 2, 1)
	if len(declared) == 0 {
		t.Fatal("main.go declares no exit codes")
	}
	for code, name := range declared {
		if documented[code] != name {
			t.Errorf("%s = %s stands in the document as %q", name, code, documented[code])
		}
	}
	for code, name := range documented {
		if declared[code] != name {
			t.Errorf("the document lists %s for %s, main.go %q", code, name, declared[code])
		}
	}
}

// rows finds pairs in a file: the group code and the group name of a pattern.
func rows(t *testing.T, path, pattern string, code, name int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found[m[code]] = m[name]
	}
	return found
}

// Every flag that takes a value says in --help what, and none of it by the name
// of a type; flags of one name mean one thing.
func TestFlagsAreSpelledOneWay(t *testing.T) {
	root := newRootCommand()
	for _, c := range commandsBelow(root) {
		if strings.Contains(c.CommandPath(), "completion") {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			name, _ := pflag.UnquoteUsage(f)
			kind := f.Value.Type()
			switch {
			case kind != "bool" && (name == "" || name != strings.ToUpper(name) && name != "N,M,..."):
				t.Errorf("%s --%s calls its value %q", c.CommandPath(), f.Name, name)
			case (f.Name == "json" || f.Name == "csv" || f.Name == "force") && kind != "bool":
				t.Errorf("%s --%s is no switch", c.CommandPath(), f.Name)
			case (f.Name == "out" && name != "FILE") || (f.Name == "format" && name != "FORMAT"):
				t.Errorf("%s --%s takes %s", c.CommandPath(), f.Name, name)
			case f.Name == "channels" || f.Name == "in-format" || f.Name == "replay-format":
				t.Errorf("%s --%s has another name elsewhere", c.CommandPath(), f.Name)
			}
		})
		if (c.Flags().Lookup("csv") != nil) != (c.Flags().Lookup("out") != nil) {
			t.Errorf("%s has only one of --csv and --out", c.CommandPath())
		}
	}
}
