import { expect, it } from "vitest";
import { DdscError } from "../../lib/base/errors.js";
import { withoutSecrets } from "../../lib/base/secrets.js";

it.each([
  ["https://ann:pw@host/a.parquet", "https://***@host/a.parquet"],
  ["https://ann:p@w@host:81/a", "https://***@host:81/a"],
  ["s3://key@bucket/a, then http://u:p@h", "s3://***@bucket/a, then http://***@h"],
  [
    "https://h/a?X-Amz-Credential=AK%2Fx&X-Amz-Date=1&X-Amz-Signature=ab12&v=2",
    "https://h/a?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=***&v=2",
  ],
  ["https://h/a?sv=1&sig=ab%3D&se=2", "https://h/a?sv=1&sig=***&se=2"],
  ["https://h/a?access_token=x#y", "https://h/a?access_token=***#y"],
  ['"https://h/a?token=x\\"y"', '"https://h/a?token=***\\"y"'],
  ["https://h/a?gene=Sox2&key=1", "https://h/a?gene=Sox2&key=***"],
  ["https://host/a@b?x=1&monkey=2", "https://host/a@b?x=1&monkey=2"],
  ["mail ann@host about key=1", "mail ann@host about key=1"],
])("of %s is said %s", (text, said) => {
  expect(withoutSecrets(text)).toBe(said);
});

it("no error tells a password", () => {
  const { message } = new DdscError("DATA_UNREADABLE", "http://ann:pw@host/a: no");
  expect(message).toBe("DATA_UNREADABLE: http://***@host/a: no");
});
