package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"tsrun/sdk"
)

// failure says what to do about an error of the disk that holds dir.
func failure(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &sdk.Failure{Code: "disk-full",
			Message: fmt.Sprintf("%v (%s)", err, space(dir)),
			Hint:    "free some space or record to another disk; segments that were closed are whole, the last one stays as a .part file"}
	case errors.Is(err, fs.ErrExist):
		return &sdk.Failure{Code: "file-exists", Message: err.Error(),
			Hint: "record to a new directory; nothing there was changed"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &sdk.Failure{Code: "not-writable", Message: err.Error(),
			Hint: "record to a directory that this user may write to"}
	}
	return &sdk.Failure{Code: "write-failed", Message: err.Error(),
		Hint: "look at the disk and at the kernel's log; segments that were closed are whole"}
}
