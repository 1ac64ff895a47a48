//go:build unix

package need

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// OwnFiles lets nobody but this user change what tests make, nor their own program, where it plays
// plugins, whatever the umask is: plugins that anyone may change are refused.
func OwnFiles() {
	syscall.Umask(0o022)
	program, err := os.Executable()
	if dir := filepath.Dir(program); err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(dir)), "go-build") { // made by go test for this run
		_ = os.Chmod(program, 0o755) // what stays as it is, is refused by name
		_ = os.Chmod(dir, 0o755)
	}
}
