//go:build !linux

package segments

import "os"

// writeBack has no such hint to give here; the sync at the end writes all.
func writeBack(*os.File, int64, int64) {}

// reserve cannot keep room here.
func reserve(*os.File, int64, int64) bool { return false }

// free does not know how much room is left here.
func free(*os.File) int64 { return 0 }

// space does not know how much room is left here.
func space(string) string { return "free space unknown" }
