/** What `nest new` writes, as far as the schematics look at it. */
export const FRESH_APP: Readonly<Record<string, string>> = {
  'nest-cli.json': '{ "collection": "@nestjs/schematics", "sourceRoot": "src" }\n',
  'package.json': `\
{
  "name": "app",
  "type": "module",
  "dependencies": {
    "@nestjs/common": "^12.0.1",
    "@nestjs/core": "^12.0.1",
    "nestjs-pools": "^0.1.0",
    "rxjs": "^7.8.1"
  }
}
`,
  'src/app.module.ts': `\
import { Module } from '@nestjs/common';
import { AppController } from './app.controller.js';
import { AppService } from './app.service.js';

@Module({
  imports: [],
  controllers: [AppController],
  providers: [AppService],
})
export class AppModule {}
`,
  'src/main.ts': `\
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}
await bootstrap();
`,
};

/** The same with another root module. */
export function appWith(module: string): Record<string, string> {
  return { ...FRESH_APP, 'src/app.module.ts': module };
}
