// curl -so public-key.txt https://pay.example.com/public-key; node receiver.mjs
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const der = Buffer.from(readFileSync("public-key.txt", "ascii"), "base64");
const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });

function isSigned({ sign = "", ...fields }) {
  const names = Object.keys(fields).filter((name) => /[^ ]/.test(fields[name])).sort();
  const text = names.map((name) => `${name}=${fields[name]}`).join("&");
  return verify("RSA-SHA256", Buffer.from(text, "utf8"), publicKey, Buffer.from(sign, "base64"));
}

createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const fields = Object.fromEntries(new URLSearchParams(body));
  let answer = "fail";
  if (isSigned(fields) && fields.orderStatus === "PAY_SUC") {
    // Look up appOrderNo, compare totalAmount, mark it paid unless it is already, commit; then answer.
    console.log("paid", fields.appOrderNo, fields.totalAmount);
    answer = "success";
  }
  response.end(answer);
}).listen(Number(process.env.PORT ?? 9000));
