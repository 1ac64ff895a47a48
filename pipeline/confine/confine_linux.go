package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Thread confines the calling goroutine's thread, which it must have locked and
// never unlock: it ends with the goroutine. Whether that has worked is tried: the
// thread must not be able to make the file outside, whose directory is writable and
// in no rule, or to list it where it is a directory; and it must be able to make the
// file inside, where that is given.
func Thread(r Rules, outside, inside string) Outcome {
	if why := impossible(outside); why != "" {
		return unconfined(why)
	}
	fd, flags, err := ruleset(r)
	switch {
	case err != nil:
		return unconfined(fmt.Sprintf("no rules could be made: %v", err))
	case fd < 0:
		return unconfined("this kernel has no Landlock, or it was not switched on at its start")
	}
	defer unix.Close(fd)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return unconfined(fmt.Sprintf("no_new_privs: %v", err))
	}
	if err := ll.LandlockRestrictSelf(fd, flags); err != nil {
		return unconfined(fmt.Sprintf("landlock_restrict_self: %v", err))
	}
	if err := try(outside); !errors.Is(err, fs.ErrPermission) {
		return unconfined(fmt.Sprintf("a trial outside, %s, was not refused (%v)", outside, err))
	}
	if inside != "" {
		if err := create(inside); err != nil {
			return unconfined(fmt.Sprintf("a trial to write where it may: %v", err))
		}
	}
	return Outcome{Confined: true}
}

// impossible says why a trial would prove nothing; "": it does.
func impossible(outside string) string {
	if err := try(outside); err != nil {
		return fmt.Sprintf("it could not be tried: %v", err)
	}
	return ""
}

// try makes a file and takes it away, or lists a directory.
func try(path string) error {
	if !isDir(path) {
		return create(path)
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return dir.Close()
}

// create makes a file and takes it away.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(path))
}

// keeping is what may be done below a directory that is written to: all but to
// execute what was written, and to make devices.
const keeping = ll.AccessFSReadFile | ll.AccessFSReadDir | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
	ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSRefer

// ruleset makes rules as far as the kernel knows them; -1: it knows none.
func ruleset(r Rules) (fd int, flags uint32, err error) {
	config := landlock.V5
	if r.Network {
		config = landlock.Config{HandledAccessFS: landlock.V5.HandledAccessFS}
	}
	var rules []landlock.Rule
	for _, path := range r.Read {
		rules = append(rules, reading(path))
	}
	for _, path := range r.Write {
		rules = append(rules, landlock.PathAccess(keeping, path).IgnoreIfMissing())
	}
	for _, path := range r.Devices {
		rules = append(rules, device(path))
	}
	return config.BestEffort().NewRulesetFD(rules...)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func reading(path string) landlock.Rule {
	if isDir(path) {
		return landlock.RODirs(path).IgnoreIfMissing()
	}
	return landlock.ROFiles(path).IgnoreIfMissing()
}

func device(path string) landlock.Rule {
	if isDir(path) {
		return landlock.RWDirs(path).WithIoctlDev().IgnoreIfMissing()
	}
	return landlock.RWFiles(path).WithIoctlDev().IgnoreIfMissing()
}

// Privileged says why a program must not be confined: it gets rights from its file
// that no confined process gets. "" for others.
func Privileged(path string) string {
	info, err := os.Stat(path)
	if err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return "its program is set-user-ID or set-group-ID, which has no effect in a confined process"
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); err == nil && n > 0 {
		return "its program has capabilities, which have no effect in a confined process"
	}
	return ""
}
