// Package catalogue says of many runs what their manifests say of each: a table of
// them with columns and conditions of the user's choice, and what differs between
// two. It reads manifests and recipes, and proves nothing; run.Verify does.
package catalogue
