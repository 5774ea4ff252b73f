import { get } from 'node:http';

/** How many texts there were in a request, on average, since this was asked the last time. */
export async function textsPerRequest(baseURL) {
  const { requests, texts } = JSON.parse(await bodyAt(new URL('/counts', baseURL)));
  return requests === 0 ? 0 : texts / requests;
}

function bodyAt(url) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      resolve(body);
    });
    request.on('error', reject);
  });
}
