package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/internal/need"
)

// readByPython is what python/tsrun.py finds in a file, a line for each channel.
const readByPython = `
import sys, tsrun
try:
    f = tsrun.open(sys.argv[1])
    for c in f.channels:
        print(c, *f.tags(c))
except tsrun.Error as e:
    print(type(e).__name__, e)
`

// TestPythonReadsEveryFormat: what python/tsrun.py does not read itself the program does.
func TestPythonReadsEveryFormat(t *testing.T) {
	t.Parallel()
	python, dir := need.Python(t, "numpy", "python3-numpy"), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	raised, below := write("raised.csv", "channel,ps\n1,2000000000000\n1,2000000000005\n"), filepath.Join(dir, "below.swabian")
	if r := runTsrun(t, dir, "convert", raised, below, "--shift", "-2.000000000003 s"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for path, want := range map[string]string{
		write("two.csv", "channel,ps\n1,5\n70,5\n1,18446744073709551615\n"): "1 5 18446744073709551615\n70 5\n",
		write("none.txt", ""):                          "",
		below:                                          "1 -3 2\n",
		write("damaged.txt", "1;5\nno number\n"):       "Damaged " + filepath.Join(dir, "damaged.txt") + ": tsrun:",
		filepath.Join(dir, "absent.txt"):               "NotFound " + filepath.Join(dir, "absent.txt") + ": No such file",
		write("strange.qutag", "that is no recording"): "Damaged",
	} {
		cmd := exec.Command(python, "-B", "-W", "error", "-c", readByPython, path)
		cmd.Env = append(os.Environ(), "PYTHONPATH=../python", "TSRUN="+filepath.Join(bin, "tsrun"))
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), want) || want == "" && len(out) > 0 {
			t.Errorf("%s: %v, %q, want %q", path, err, out, want)
		}
	}
}
