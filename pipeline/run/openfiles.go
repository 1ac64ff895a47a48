package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"tsrun/sdk"
)

// CheckOpenFiles refuses to begin what needs so many open files, connections among
// them, where this process may not have them: each that is missing would be a peer that
// is not heard, or a file that does not come.
func CheckOpenFiles(need int) error { return checkOpenFiles(need, mayOpen()) }

func checkOpenFiles(need, most int) error {
	if most == 0 || need <= most {
		return nil
	}
	return &sdk.Failure{Code: "open-files",
		Message: fmt.Sprintf("this process may have %d files and connections open, and it may come to need %d", most, need),
		Hint:    fmt.Sprintf("type ulimit -n %d before tsrun in that shell (root may raise it: ulimit -Hn); of a service it is LimitNOFILE=", max(need, 1024))}
}

// Circumstances says what about this process may stand behind an error, and what to do;
// "": nothing.
func Circumstances(err error) string {
	_, gone := os.Getwd()
	switch {
	case errors.Is(err, syscall.EMFILE):
		return fmt.Sprintf("this process may have %d files and connections open (ulimit -n): raise that", mayOpen())
	case errors.Is(err, syscall.ENFILE):
		return "this PC has too many files open: end other programs, or raise fs.file-max (sysctl)"
	case errors.Is(gone, fs.ErrNotExist):
		return nowhere
	}
	return ""
}

// nowhere is why a path that is not absolute leads nowhere.
const nowhere = "the current directory was deleted: go to one that exists (cd), or write absolute paths"
