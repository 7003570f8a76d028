// SPDX-License-Identifier: Apache-2.0
// Empty: CMake makes the precompiled catch.h only for a source that uses it, and catch_main.cc
// can't.
