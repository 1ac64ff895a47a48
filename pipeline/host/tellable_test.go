package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRuntimeThatAPluginCannotTell: a plugin tells its socket in one line of fields
// between |, so a path that breaks such a line is refused, and nothing is started.
func TestRuntimeThatAPluginCannotTell(t *testing.T) {
	for _, name := range []string{"a|b", "a\nb", "a\xffb"} {
		dir := filepath.Join(t.TempDir(), name)
		if _, err := New(Options{Runtime: dir}); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q was made", name)
		}
	}
}
