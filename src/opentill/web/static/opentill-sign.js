// Signing a request of the open.pay protocol. No imports: copy this file into your own project.
//
//   1. take the parameters that are marked "signed" in the table of the interface
//   2. drop those whose value is empty
//   3. sort them by name
//   4. join them as name=value with &
//   5. append &key=<your key>
//   6. MD5 of the UTF-8 bytes, 32 lower-case hex digits
//
// Values are signed as they are, before any URL encoding. Sign on your own server: a key in a page is no secret.

/** The parameters that take part: signed by the interface's table, and not empty (only spaces counts as empty). */
export function fieldsToSign(form, signedNames) {
  return Object.fromEntries(
    Object.entries(form).filter(([name, value]) => signedNames.includes(name) && value.replace(/^ +| +$/g, "") !== ""),
  );
}

/** `name=value` pairs sorted by name, joined with &. Replies and notifications are signed over this very text. */
export function stringToSign(fields) {
  return Object.keys(fields)
    .sort() // the names are ASCII, so this is the order of their bytes
    .map((name) => `${name}=${fields[name]}`)
    .join("&");
}

/** The `sign` parameter. `md5` takes a text and answers the hex MD5 of its UTF-8 bytes. */
export function signRequest(form, signedNames, key, md5) {
  return md5(`${stringToSign(fieldsToSign(form, signedNames))}&key=${key}`);
}
